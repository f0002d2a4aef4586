"""The tables of a vocabulary: what was decided on every hashtag, and the evidence for it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pyarrow as pa

from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.normalise import normalised
from hashnext.hashtags.reading import Reading
from hashnext.hashtags.senses import Scores
from hashnext.hashtags.usage import Use
from hashnext.hashtags.vocabulary import DECISIONS, LABELS, SENSES, USAGE

NO_SYNSET = -1
"""In the place of a synset's number where a tag names none."""


def label_table(posts: Mapping[str, int], chosen: Mapping[str, int], lexicon: Lexicon) -> pa.Table:
    """A label for every synset chosen, by synset; `posts` are those of normalised tags."""
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
    return _table(LABELS, columns)


def decision_table(
    written: Mapping[str, int],
    readings: Mapping[str, Reading],
    chosen: Mapping[str, int],
    lexicon: Lexicon,
) -> pa.Table:
    """A decision for every hashtag as written, those on most posts first."""
    label = {synset: index for index, synset in enumerate(sorted(set(chosen.values())))}
    named = {synset: f"names {lexicon.wnid(synset)} ({lexicon.name(synset)})" for synset in label}
    raws = sorted(written, key=lambda raw: (-written[raw], raw))
    tags = [normalised(raw) for raw in raws]
    synsets = [chosen.get(tag, NO_SYNSET) for tag in tags]
    found = [readings[tag] for tag in tags]
    matches = [reading.match for reading in found]
    columns = [
        raws, tags, [written[raw] for raw in raws], [label.get(synset) for synset in synsets],
        [match.rule if match else "none" for match in matches],
        [match.confidence if match else 0.0 for match in matches],
        [named.get(s, reading.reason) for s, reading in zip(synsets, found, strict=True)],
    ]  # fmt: skip
    return _table(DECISIONS, columns)


def sense_table(
    scores: Scores, chosen: Mapping[str, int], readings: Mapping[str, Reading], lexicon: Lexicon
) -> pa.Table:
    """The scores of every candidate of every noun, the best first."""
    nouns = {(readings[tag].noun, synset) for tag, synset in chosen.items()}
    rows = [
        (form, lexicon.wnid(synset), lexicon.name(synset), score.share, score.company,
         (form, synset) in nouns)
        for form, of_noun in sorted(scores.items())
        for synset, score in sorted(of_noun.items(), key=lambda item: (-item[1].total, item[0]))
    ]  # fmt: skip
    return _table(SENSES, list(zip(*rows, strict=True)))


def usage_table(uses: list[Use], names: list[str]) -> pa.Table:
    """The figures of every tag that was measured; `names` are the labels'."""
    rows = [
        (use.tag, use.posts, use.spread, names[use.label], use.together, use.association,
         use.chance, use.similarity, use.mutual)
        for use in uses
    ]  # fmt: skip
    return _table(USAGE, list(zip(*rows, strict=True)))


def normalised_posts(written: Mapping[str, int]) -> Counter[str]:
    """Posts of every normalised tag: the sum over its spellings."""
    posts: Counter[str] = Counter()
    for raw, count in written.items():
        posts[normalised(raw)] += count
    return posts


def _table(schema: pa.Schema, columns: Sequence[object]) -> pa.Table:
    columns = columns or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema)
