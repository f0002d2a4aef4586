"""How tags are used: with which labels they stand on posts, and how evenly they spread over them.

Four figures, for tags that WordNet has no noun for:

spread       exp(-KL(p(label | tag) || p(label))), the share of all label assignments that the tag
             goes with evenly: near 1 for #tbt, which stands beside anything, near 0 for #doggo. The
             divergence is corrected for small counts by (labels met - 1) / 2n (Miller 1955).
association  share of the tag's posts that carry its nearest label: the lower end of Wilson's 95 %
             interval (Wilson 1927). The nearest label has the highest association times log lift.
similarity   cosine of the tag's and the label's positive pointwise mutual information with all
             other labels (Levy et al. 2015): do they keep the same company?
mutual       of all tags with this nearest label, this one is nearest to it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashnext.hashtags.corpus import Corpus
from hashnext.hashtags.count import CountCompany, CountUse, tally
from hashnext.hashtags.view import LabelView, numbering
from hashnext.hashtags.vocabulary import Vocabulary

MIN_POSTS = 20
"""Posts below which the use of a tag says nothing."""
MIN_SHARE = 1e-4
"""Share of all posts below which a tag is not measured: it bounds how many tags there can be."""
MIN_ASSOCIATION = 0.2
"""Association below which the similarity is not worked out, but set to 0."""
Z = 1.96
"""Normal quantile of a 95 % interval."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Run = tuple[Ints, Ints]
"""Labels (m,), ascending, that a tag or label stands beside, and the posts with both (m,)."""


@dataclass(frozen=True)
class Use:
    """The figures of one tag."""

    tag: str
    posts: int
    spread: float
    label: int
    """Id of the nearest label."""
    together: int
    """Posts with both."""
    association: float
    chance: float
    """Share of all posts that carry the label."""
    similarity: float = 0.0
    mutual: bool = False


def measure_use(corpus: Corpus, vocabulary: Vocabulary, tags: dict[str, int]) -> list[Use]:
    """The figures of the tags on `MIN_POSTS` and `MIN_SHARE` of the posts, the commonest first.

    The posts are asked twice: which labels each tag stands beside, and what company the labels keep
    that are nearest to some tag. Of other labels it is not asked, since there can be millions of
    pairs of them.

    Args:
        corpus: the posts.
        vocabulary: its labels are what the tags are measured by.
        tags: normalised tags and their training posts.
    """
    ranked = sorted(tags.items(), key=lambda item: (-item[1], item[0]))
    least = max(MIN_POSTS, MIN_SHARE * vocabulary.meta["posts"])
    names = [tag for tag, posts in ranked if posts >= least]
    if not names or not vocabulary.num_labels:
        return []
    view = vocabulary.view()
    company = Company.of(tally(corpus, CountUse(numbering(names), view)), view.num_labels)
    base = Base.of(company.run(len(names)), view.num_labels, vocabulary.meta["posts"])
    runs = {tag: company.run(number) for number, tag in enumerate(names)}
    uses = [base.use(tag, tags[tag], run) for tag, run in runs.items() if run[1].sum() >= MIN_POSTS]
    return _with_mutual(_with_similarity(uses, runs, base, corpus, view))


def _with_similarity(
    uses: list[Use], runs: Mapping[str, Run], base: "Base", corpus: Corpus, view: LabelView
) -> list[Use]:
    """The figures with the similarity of the tags that are near to a label."""
    near = sorted({use.label for use in uses if use.association >= MIN_ASSOCIATION})
    if not near:
        return uses
    company = Company.of(tally(corpus, CountCompany(view, np.array(near))), view.num_labels)
    theirs = {
        label: base.information(company.run(place), label) for place, label in enumerate(near)
    }
    return [
        replace(use, similarity=base.similarity(runs[use.tag], theirs[use.label], use.label))
        if use.association >= MIN_ASSOCIATION else use
        for use in uses
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Company:
    """The labels that tags or labels stand beside: a run of the arrays for each of them."""

    owners: Ints
    """Whose run it is, int64 (m,), ascending."""
    labels: Ints
    posts: Ints

    @classmethod
    def of(cls, counts: pa.Table, num_labels: int) -> "Company":
        """From counts by owner * V + label, ascending."""
        owners, labels = np.divmod(counts["key"].to_numpy(), num_labels)
        return cls(owners, labels, counts["posts"].to_numpy())

    def run(self, owner: int) -> Run:
        """Labels that the owner stands beside, ascending, and the posts with both."""
        chosen = slice(*np.searchsorted(self.owners, [owner, owner + 1]))
        return self.labels[chosen], self.posts[chosen]


@dataclass(frozen=True, eq=False)
class Base:
    """How many posts each label has, which is what chance gives."""

    posts: Floats
    """float64 (V,)."""
    total: int
    """All posts."""

    @classmethod
    def of(cls, run: Run, num_labels: int, total: int) -> "Base":
        """From the labels that some post has."""
        posts = np.zeros(num_labels)
        posts[run[0]] = run[1]
        return cls(posts, total)

    def use(self, tag: str, posts: int, run: Run) -> Use:
        """The figures of a tag on so many posts, without similarity."""
        labels, together = run
        lower = wilson_lower(together, posts)
        lift = together / posts / (self.posts[labels] / self.total)
        best = int(np.argmax(lower * np.log(np.maximum(lift, 1.0))))
        label = int(labels[best])
        return Use(
            tag, posts, self.spread(run), label, int(together[best]), float(lower[best]),
            float(self.posts[label] / self.total),
        )  # fmt: skip

    def spread(self, run: Run) -> float:
        """How evenly a tag goes with the labels."""
        labels, posts = run
        share = posts / posts.sum()
        divergence = float(np.sum(share * np.log(share / self._share(labels))))
        bias = (len(labels) - 1) / (2 * posts.sum())
        return float(np.exp(-max(0.0, divergence - bias)))

    def similarity(self, run: Run, theirs: Floats, label: int) -> float:
        """Whether a tag keeps the company of a label, given the label's information."""
        ours = self.information(run, label)
        norms = np.linalg.norm(ours) * np.linalg.norm(theirs)
        return float(ours @ theirs / norms) if norms else 0.0

    def information(self, run: Run, without: int) -> Floats:
        """Positive pointwise mutual information with every label but one, in nats, (V,)."""
        labels, posts = run
        found = np.zeros(len(self.posts))
        found[labels] = np.maximum(np.log(posts / max(posts.sum(), 1) / self._share(labels)), 0.0)
        found[without] = 0.0
        return found

    def _share(self, labels: Ints) -> Floats:
        """Of all assignments of labels, those of each of some."""
        found: Floats = self.posts[labels] / self.posts.sum()
        return found


def wilson_lower(successes: Ints, trials: int) -> Floats:
    """Lower end of Wilson's 95 % interval of a share: float64, the shape of `successes`."""
    share = successes / trials
    middle = share + Z * Z / (2 * trials)
    half = Z * np.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials))
    lower: Floats = np.maximum((middle - half) / (1 + Z * Z / trials), 0.0)
    return lower


def _with_mutual(uses: Sequence[Use]) -> list[Use]:
    nearest: dict[int, list[Use]] = defaultdict(list)
    for use in uses:
        nearest[use.label].append(use)
    best = {
        id(max(of, key=lambda use: use.association * use.similarity)) for of in nearest.values()
    }
    return [replace(use, mutual=id(use) in best) for use in uses]
