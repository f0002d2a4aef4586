"""Posts in, vocabulary out: count the tags, read them, choose senses, cut, find aliases.

Every count of a label is that of the posts that training streams: public, not held out, and with
the vocabulary's policy on hypernyms.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashnext.errors import ConfigError, DataError
from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags import senses, words
from hashnext.hashtags.aliases import Finding, evidence, find, with_findings
from hashnext.hashtags.count import CountLabels, CountTags, CountTogether, tally
from hashnext.hashtags.entries import Entries, expanded
from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.match import NOUN_RULES
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.reading import NO_NOUN, Reader, Reading
from hashnext.hashtags.senses import Scores
from hashnext.hashtags.tables import (
    decision_table,
    label_table,
    normalised_posts,
    sense_table,
    usage_table,
)
from hashnext.hashtags.usage import Use, measure_use
from hashnext.hashtags.view import DEFAULT_SPECIFICITY, Specificity, make_view
from hashnext.hashtags.vocabulary import LABELS, Evidence, Vocabulary
from hashnext.posts.readers import PostSource
from hashnext.progress import Stopwatch


@dataclass(frozen=True, kw_only=True)
class VocabularyConfig:
    """Which labels a vocabulary holds."""

    scope: Literal["wordnet", "imagenet"] = "wordnet"
    """wordnet: any noun that a picture can show; imagenet: only ILSVRC's, at most 997 labels."""
    max_labels: int | None = None
    """Keep at most so many labels, those on most posts; all when absent."""
    min_posts: int = 5
    """Leave out labels on fewer training posts; tags on fewer are not split into words."""
    specificity: Specificity = DEFAULT_SPECIFICITY
    """What becomes of a label beside its hyponym on one post: drop_ancestors leaves the hypernym
    out; keep shares the target evenly; weight shares it by information content."""
    allow: tuple[str, ...] = ()
    """Hashtags and wnids to let in whatever the visual rules say, persons excepted; @PATH
    stands for the lines of a text file."""
    deny: tuple[str, ...] = ()
    """Hashtags and wnids to leave out, written as for allow."""
    named_places: bool = False
    """Let named places in: #london, #alps."""
    nameless: bool = False
    """Make labels of frequent tags that WordNet has no noun for and that go with few labels. Some
    will be people."""

    def __post_init__(self) -> None:
        if self.max_labels is not None and self.max_labels < 1:
            raise ConfigError("max_labels", self.max_labels, "at least 1")
        if self.min_posts < 1:
            raise ConfigError("min_posts", self.min_posts, "at least 1")
        if self.nameless and self.scope == "imagenet":
            raise ConfigError(
                "nameless", True, "labels without a synset are outside scope imagenet"
            )
        for key in ("allow", "deny"):
            entries = expanded(key, getattr(self, key))
            Entries.of(key, entries, lexicons.load())
            object.__setattr__(self, key, entries)

    def reader(self, lexicon: Lexicon) -> Reader:
        """Reads tags as this vocabulary does."""
        return Reader(
            lexicon,
            only_ilsvrc=self.scope == "imagenet",
            allow=Entries.of("allow", self.allow, lexicon),
            deny=Entries.of("deny", self.deny, lexicon),
            named_places=self.named_places,
        )


def build_vocabulary(
    source: PostSource, config: VocabularyConfig, clock: Stopwatch | None = None
) -> Vocabulary:
    """The vocabulary of a source; needs a Ray session.

    Args:
        source: posts with hashtags.
        config: which labels to keep.
        clock: told the seconds of each stage.

    Raises:
        DataError: no hashtag becomes a label; the message counts the reasons.
    """
    clock = clock or Stopwatch()
    lexicon = lexicons.load()
    with clock("counting"):
        written, num_posts = _count_written(source)
        posts = normalised_posts(written)
    with clock("matching"):
        readings = read_tags(written, posts, config)
    with clock("senses"):
        scores = _weigh(source, readings, lexicon, num_posts)
        chosen = senses.choose(readings, scores)
    with clock("labels"):
        meta = {
            "posts": num_posts, "labelled": 0, "source": source.fingerprint,
            "settings": asdict(config), "wordnet": lexicon.version,
        }  # fmt: skip
        labels = label_table(posts, chosen, lexicon)
        decisions = decision_table(written, readings, chosen, lexicon)
        vocabulary = _cut(Vocabulary(labels, decisions, meta), source, config)
    with clock("aliases"):
        nouns = {(reading.match.form, chosen[tag]) for tag, reading in readings.items()
                 if reading.match and tag in chosen}  # fmt: skip
        wordless = {tag: posts[tag] for tag, reading in readings.items()
                    if reading.reason == NO_NOUN}  # fmt: skip
        uses = measure_use(source, vocabulary, wordless)
        found = _with_aliases(vocabulary, uses, source, config)
        names = vocabulary.labels["name"].to_pylist()
        proof = Evidence(sense_table(scores, nouns, lexicon), usage_table(uses, names))
    return replace(found, evidence=proof)


def read_tags(
    written: Mapping[str, int], posts: Mapping[str, int], config: VocabularyConfig
) -> dict[str, Reading]:
    """A reading of every normalised tag; those on `min_posts` posts are split into words."""
    lexicon = lexicons.load()
    reader = config.reader(lexicon)
    model = words.load().adding(lexicon.single_words)
    marked = {normalise(raw): raw for raw in sorted(written, key=lambda raw: (written[raw], raw))
              if not raw.islower()}  # fmt: skip
    return {
        tag: reader.read(tag, model if count >= config.min_posts else None, marked.get(tag, ""))
        for tag, count in posts.items()
    }


def recount(vocabulary: Vocabulary, source: PostSource) -> Vocabulary:
    """The same labels with the counts of a source's training posts, renumbered by them."""
    counted, _ = _counted(vocabulary, source)
    return _in_order(counted)


def _count_written(source: PostSource) -> tuple[dict[str, int], int]:
    counts = tally(source, CountTags())
    posts = dict(zip(counts["key"].to_pylist(), counts["posts"].to_pylist(), strict=True))
    num_posts = posts.pop(None)
    return posts, num_posts


def _weigh(
    source: PostSource, readings: dict[str, Reading], lexicon: Lexicon, num_posts: int
) -> Scores:
    kin = senses.company(readings, lexicon)
    pairs = {
        (tag, other)
        for tag, by_sense in kin.items()
        for tags in by_sense.values()
        for other in tags
    }
    pairs |= {(tag, tag) for pair in pairs for tag in pair}
    return senses.weigh(readings, kin, _together(source, pairs), num_posts)


def _together(source: PostSource, pairs: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Posts that carry both tags of each pair."""
    if not pairs:
        return {}
    tags = sorted({tag for pair in pairs for tag in pair})
    number = {tag: index for index, tag in enumerate(tags)}
    view = make_view(number, [[] for _ in tags], [[] for _ in tags])
    keys = np.sort([number[one] * len(tags) + number[two] for one, two in pairs])
    counts = tally(source, CountTogether(view, keys))
    return {
        (tags[key // len(tags)], tags[key % len(tags)]): posts
        for key, posts in zip(counts["key"].to_pylist(), counts["posts"].to_pylist(), strict=True)
    }


def _with_aliases(
    vocabulary: Vocabulary, uses: list[Use], source: PostSource, config: VocabularyConfig
) -> Vocabulary:
    """The vocabulary with what the use of tags proves, counted anew if that is anything."""
    names, nouns = vocabulary.labels["name"].to_pylist(), _nouns(vocabulary)
    findings: dict[str, Finding] = {}
    for use in uses:
        if found := find(use, names[use.label], nouns[use.label], config.nameless):
            findings[use.tag] = found
    told = _with_use(vocabulary, uses, names)
    return _cut(with_findings(told, findings), source, config) if findings else told


def _nouns(vocabulary: Vocabulary) -> dict[int, list[str]]:
    """The hashtags of every label that are its noun itself, in the singular or plural."""
    found: dict[int, list[str]] = defaultdict(list)
    columns = (vocabulary.decisions[c].to_pylist() for c in ("label_id", "rule", "normalised"))
    for label, rule, tag in zip(*columns, strict=True):
        if label is not None and rule in NOUN_RULES:
            found[label].append(tag)
    return found


def _with_use(vocabulary: Vocabulary, uses: list[Use], names: list[str]) -> Vocabulary:
    """The decisions on tags without a noun, with how they are used in the reason."""
    told = {
        use.tag: f"{NO_NOUN}; spread {use.spread:.2f} over the labels, nearest {names[use.label]} "
        f"on {evidence(use)}"
        for use in uses
    }
    tags, reasons = (vocabulary.decisions[c].to_pylist() for c in ("normalised", "reason"))
    column = [told.get(tag, reason) for tag, reason in zip(tags, reasons, strict=True)]
    index = vocabulary.decisions.schema.get_field_index("reason")
    return replace(
        vocabulary, decisions=vocabulary.decisions.set_column(index, "reason", pa.array(column))
    )


def _cut(vocabulary: Vocabulary, source: PostSource, config: VocabularyConfig) -> Vocabulary:
    """Leave out rare labels, then all but the most frequent, until the counts agree.

    A label that goes gives its posts back to its hypernyms there, so counts only rise from one
    round to the next and the rounds come to an end.
    """
    rare = f"fewer than {config.min_posts} posts"
    _refuse_empty(vocabulary)
    vocabulary, covered = _counted(vocabulary, source)
    vocabulary = vocabulary.select(np.flatnonzero(covered >= config.min_posts).tolist(), rare)
    while True:
        _refuse_empty(vocabulary)
        vocabulary, _ = _counted(vocabulary, source)
        enough = vocabulary.labels["posts"].to_numpy() >= config.min_posts
        vocabulary = _in_order(vocabulary)
        if not enough.all():
            vocabulary = vocabulary.select(range(int(enough.sum())), rare)
        elif config.max_labels and config.max_labels < vocabulary.num_labels:
            vocabulary = vocabulary.most_frequent(config.max_labels)
        else:
            return vocabulary


def _counted(vocabulary: Vocabulary, source: PostSource) -> tuple[Vocabulary, np.ndarray]:
    """The vocabulary with its posts and information content, and the posts covered (V,).

    Information content is -log2 of the share of posts with the label or one below it (Resnik 1995).
    """
    counts = tally(source, CountLabels(vocabulary.view()))
    posts, covered = counts["posts"].to_numpy(), counts["covered"].to_numpy()
    num_posts, labelled = int(posts[-1]), int(covered[-1])  # the null key sorts last
    posts, covered = posts[:-1], covered[:-1]
    content = -np.log2(np.maximum(covered, 1) / max(num_posts, 1))
    names = vocabulary.labels.column_names
    columns = {name: vocabulary.labels[name] for name in names}
    columns |= {"posts": pa.array(posts), "information_content": pa.array(content, pa.float32())}
    labels = pa.table([columns[name] for name in names], LABELS)
    meta = vocabulary.meta | {"posts": num_posts, "labelled": labelled}
    return replace(vocabulary, labels=labels, meta=meta), covered


def _in_order(vocabulary: Vocabulary) -> Vocabulary:
    by_posts = [("posts", "descending"), ("wnid", "ascending"), ("name", "ascending")]
    return vocabulary.select(pc.sort_indices(vocabulary.labels, sort_keys=by_posts).to_pylist(), "")


def _refuse_empty(vocabulary: Vocabulary) -> None:
    if not vocabulary.num_labels:
        reasons = Counter(vocabulary.decisions["reason"].to_pylist()).most_common(5)
        listed = "; ".join(f"{reason}: {count}" for reason, count in reasons)
        raise DataError(f"no hashtag becomes a label ({listed or 'no hashtags at all'})")
