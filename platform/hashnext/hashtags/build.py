"""Posts in, vocabulary out: count the tags, read them, choose senses, cut, count the labels.

Every count of a label is that of the posts that training streams: public, not held out, and after
the view has dropped the hypernyms of other labels on the same post.
"""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashnext.errors import ConfigError, DataError
from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags import senses
from hashnext.hashtags.count import CountLabels, CountTags, CountTogether, tally
from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.senses import Reader, Reading
from hashnext.hashtags.view import make_view
from hashnext.hashtags.vocabulary import DECISIONS, LABELS, Vocabulary
from hashnext.posts.readers import PostSource


@dataclass(frozen=True, kw_only=True)
class VocabularyConfig:
    """Which labels a vocabulary holds."""

    scope: Literal["wordnet", "imagenet"] = "wordnet"
    """wordnet: any noun that a picture can show; imagenet: only ILSVRC's, at most 997 labels."""
    max_labels: int | None = None
    """Keep at most so many labels, those on most posts; all when absent."""
    min_posts: int = 5
    """Leave out labels on fewer training posts than this."""

    def __post_init__(self) -> None:
        if self.max_labels is not None and self.max_labels < 1:
            raise ConfigError("max_labels", self.max_labels, "at least 1")
        if self.min_posts < 1:
            raise ConfigError("min_posts", self.min_posts, "at least 1")


def build_vocabulary(source: PostSource, config: VocabularyConfig) -> Vocabulary:
    """The vocabulary of a source; needs a Ray session.

    Raises:
        DataError: no hashtag becomes a label; the message counts the reasons.
    """
    lexicon = lexicons.load()
    written, num_posts = _count_written(source)
    reader = Reader(lexicon, only_ilsvrc=config.scope == "imagenet")
    readings = {tag: reader.read(tag) for tag in {normalise(raw) for raw in written}}
    chosen = _choose(source, readings, lexicon, num_posts)
    vocabulary = Vocabulary(
        labels=_labels(written, chosen, lexicon),
        decisions=_decisions(written, readings, chosen, lexicon),
        meta={
            "posts": num_posts, "labelled": 0, "source": source.fingerprint,
            "settings": asdict(config), "wordnet": lexicon.version,
        },
    )  # fmt: skip
    return _cut(vocabulary, source, config)


def recount(vocabulary: Vocabulary, source: PostSource) -> Vocabulary:
    """The same labels with the counts of a source's training posts, renumbered by them."""
    counted, _ = _counted(vocabulary, source)
    return _in_order(counted)


def _count_written(source: PostSource) -> tuple[dict[str, int], int]:
    counts = tally(source, CountTags())
    posts = dict(zip(counts["key"].to_pylist(), counts["posts"].to_pylist(), strict=True))
    num_posts = posts.pop(None)
    return posts, num_posts


def _choose(
    source: PostSource, readings: dict[str, Reading], lexicon: Lexicon, num_posts: int
) -> dict[str, int]:
    kin = senses.company(readings, lexicon)
    pairs = {
        (tag, other)
        for tag, by_sense in kin.items()
        for tags in by_sense.values()
        for other in tags
    }
    pairs |= {(tag, tag) for pair in pairs for tag in pair}
    return senses.choose(readings, kin, _together(source, pairs), num_posts)


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


def _labels(written: dict[str, int], chosen: dict[str, int], lexicon: Lexicon) -> pa.Table:
    posts: Counter[str] = Counter()
    for raw, count in written.items():
        posts[normalise(raw)] += count
    tags: dict[int, list[str]] = defaultdict(list)
    for tag in sorted(chosen, key=lambda tag: (-posts[tag], tag)):
        tags[chosen[tag]].append(tag)
    synsets = sorted(tags)
    wnids = [lexicon.wnid(synset) for synset in synsets]
    columns = [
        range(len(synsets)), wnids, [[wnid] for wnid in wnids],
        [lexicon.name(synset) for synset in synsets], [tags[synset] for synset in synsets],
        [0] * len(synsets), [lexicon.depth(synset) for synset in synsets],
        [[lexicon.wnid(parent) for parent in lexicon.ancestors(s)] for s in synsets],
        [0.0] * len(synsets),
    ]  # fmt: skip
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, LABELS, strict=True)], LABELS)


def _decisions(
    written: dict[str, int],
    readings: dict[str, Reading],
    chosen: dict[str, int],
    lexicon: Lexicon,
) -> pa.Table:
    label = {synset: index for index, synset in enumerate(sorted(set(chosen.values())))}
    rows = []
    for raw in sorted(written, key=lambda raw: (-written[raw], raw)):
        tag = normalise(raw)
        reading, synset = readings[tag], chosen.get(tag)
        reason = reading.reason
        if synset is not None:
            reason = f"names {lexicon.wnid(synset)} ({lexicon.name(synset)})"
        found = reading.match
        confidence = found.confidence if found else 0.0
        rule = found.rule if found else "none"
        label_id = None if synset is None else label[synset]
        rows.append((raw, tag, written[raw], label_id, rule, confidence, reason))
    columns = zip(*rows, strict=True) if rows else [()] * len(DECISIONS)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, DECISIONS, strict=True)]
    return pa.table(arrays, DECISIONS)


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
    by_posts = [("posts", "descending"), ("wnid", "ascending")]
    return vocabulary.select(pc.sort_indices(vocabulary.labels, sort_keys=by_posts).to_pylist(), "")


def _refuse_empty(vocabulary: Vocabulary) -> None:
    if not vocabulary.num_labels:
        reasons = Counter(vocabulary.decisions["reason"].to_pylist()).most_common(5)
        listed = "; ".join(f"{reason}: {count}" for reason, count in reasons)
        raise DataError(f"no hashtag becomes a label ({listed or 'no hashtags at all'})")
