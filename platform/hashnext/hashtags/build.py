"""Posts in, vocabulary out: count the hashtags, read them, choose senses, cut, ask the posts."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import ray

from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags import senses, splitting
from hashnext.hashtags.aliases import Finding, evidence, find, with_findings
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.corpus import Corpus, read_corpus
from hashnext.hashtags.count import CountTags, CountTogether, tally
from hashnext.hashtags.cut import cut, drop_rare
from hashnext.hashtags.match import NOUN_RULES
from hashnext.hashtags.reading import NO_NOUN, Reading
from hashnext.hashtags.senses import Scores
from hashnext.hashtags.tables import (
    decision_table,
    label_table,
    normalised_posts,
    sense_table,
    usage_table,
)
from hashnext.hashtags.usage import Use, measure_use
from hashnext.hashtags.view import numbering, sorted_unique
from hashnext.hashtags.vocabulary import Evidence, Vocabulary
from hashnext.posts.readers import PostSource
from hashnext.posts.tombstones import COUNTED_WITHOUT
from hashnext.progress import Stopwatch

Readings = dict[str, Reading]
TASK_TAGS = 25_000
"""Tags that a Ray task reads: enough to be worth loading the word counts there."""


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
    with clock("counting"):
        corpus = read_corpus(source)
        written, num_posts = _count_written(corpus)
    with clock("matching"):
        posts = normalised_posts(written)
        readings = read_tags(posts, splitting.telling_spellings(written), config)
    with clock("senses"):
        scores = _weigh(corpus, readings, num_posts)
        chosen = senses.choose(readings, scores)
    with clock("labels"):
        meta = {
            "posts": num_posts, "labelled": 0, "source": source.fingerprint,
            "settings": asdict(config), "wordnet": lexicons.load().version,
            COUNTED_WITHOUT: source.last_takedown,
        }  # fmt: skip
        labels = label_table(posts, chosen, lexicons.load())
        decisions = decision_table(written, readings, chosen, lexicons.load())
        named = drop_rare(Vocabulary(labels, decisions, meta), config)
    with clock("use"):
        uses = measure_use(corpus, named, _without_noun(posts, readings))
    with clock("cut"):
        vocabulary = cut(_with_aliases(named, uses, config), corpus, config)
    return replace(vocabulary, evidence=Evidence(
        sense_table(scores, chosen, readings, lexicons.load()),
        usage_table(uses, named.labels["name"].to_pylist()),
    ))  # fmt: skip


def read_tags(
    posts: Mapping[str, int], spelt: Mapping[str, str], config: VocabularyConfig
) -> Readings:
    """A reading of every normalised tag; those on `min_posts` posts are split into words.

    Many tags are read by several Ray tasks.

    Args:
        posts: of every normalised tag.
        spelt: for some of them a spelling that helps to split it.
        config: what is read as a label.
    """
    tags = [(tag, n >= config.min_posts, spelt.get(tag, "")) for tag, n in posts.items()]
    candidates = splitting.may_be_words(posts)
    task, parts = ray.remote(_read), -(-len(tags) // TASK_TAGS)
    if parts <= 1:
        return dict(zip(posts, _read(tuple(tags), candidates, config), strict=True))
    shares = [tuple(tags[part::parts]) for part in range(parts)]
    found = ray.get([task.remote(share, candidates, config) for share in shares])
    return {
        tag: reading
        for part, readings in enumerate(found)
        for (tag, _, _), reading in zip(tags[part::parts], readings, strict=True)
    }


def _read(
    tags: tuple[tuple[str, bool, str], ...], candidates: tuple[str, ...], config: VocabularyConfig
) -> tuple[Reading, ...]:
    """Readings of tags, each with whether to split it and a spelling that helps.

    All are tuples because Ray serialises every element of a list or dict by itself.
    """
    reader = config.reader(lexicons.load())
    found = [reader.read(tag) for tag, _, _ in tags]
    loose = [
        (number, text)
        for number, (tag, split, spelt) in enumerate(tags)
        if split and found[number].reason == NO_NOUN
        for text in splitting.to_split(spelt or tag)
    ]
    parts = splitting.model(candidates).split_all([text for _, text in loose])
    for (number, _), of_tag in zip(loose, parts, strict=True):
        if found[number].reason == NO_NOUN:
            found[number] = reader.read(tags[number][0], of_tag)
    return tuple(found)


def _without_noun(posts: Mapping[str, int], readings: Readings) -> dict[str, int]:
    """Posts of the tags that WordNet has no noun for."""
    return {tag: posts[tag] for tag, reading in readings.items() if reading.reason == NO_NOUN}


def _count_written(corpus: Corpus) -> tuple[dict[str, int], int]:
    counts = tally(corpus, CountTags())
    posts = dict(zip(counts["key"].to_pylist(), counts["posts"].to_pylist(), strict=True))
    num_posts = posts.pop(None)
    return posts, num_posts


def _weigh(corpus: Corpus, readings: Readings, num_posts: int) -> Scores:
    kin = senses.company(readings, lexicons.load())
    pairs = {
        (tag, other)
        for tag, by_sense in kin.items()
        for tags in by_sense.values()
        for other in tags
    }
    pairs |= {(tag, tag) for tag in set(chain.from_iterable(pairs))}
    return senses.weigh(readings, kin, _together(corpus, pairs), num_posts)


def _together(corpus: Corpus, pairs: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Posts that carry both tags of each pair."""
    if not pairs:
        return {}
    tags = sorted({tag for pair in pairs for tag in pair})
    number = {tag: index for index, tag in enumerate(tags)}
    ones, others = (np.array([number[pair[end]] for pair in pairs]) for end in (0, 1))
    keys = np.minimum(ones, others) * len(tags) + np.maximum(ones, others)
    counts = tally(corpus, CountTogether(numbering(tags), sorted_unique(keys)))
    posts = dict(zip(counts["key"].to_pylist(), counts["posts"].to_pylist(), strict=True))
    return {pair: posts.get(key, 0) for pair, key in zip(pairs, keys.tolist(), strict=True)}


def _with_aliases(vocabulary: Vocabulary, uses: list[Use], config: VocabularyConfig) -> Vocabulary:
    """The vocabulary with what the use of tags proves."""
    names, nouns = vocabulary.labels["name"].to_pylist(), _nouns(vocabulary)
    findings: dict[str, Finding] = {}
    for use in uses:
        if found := find(use, names[use.label], nouns[use.label], config.nameless):
            findings[use.tag] = found
    told = _with_use(vocabulary, uses, names)
    return with_findings(told, findings) if findings else told


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
