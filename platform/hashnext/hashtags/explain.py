"""Why a hashtag has its label, or none: every step that a vocabulary took, in words."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags import splitting
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.reading import Reader, Reading
from hashnext.hashtags.vocabulary import Vocabulary

SHOWN = 8
"""Spellings, and hashtags of a label, that are listed."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One line of an explanation."""

    name: str
    """normalised, posts, words, match, sense, usage, decision or label."""
    text: str


def explain(vocabulary: Vocabulary, hashtag: str) -> list[Step]:
    """The steps from a hashtag as written to its label.

    A hashtag that the posts do not have is read as the vocabulary's settings say, without the
    evidence that posts would give.
    """
    tag = normalise(hashtag)
    rows = _rows(vocabulary.decisions, "normalised", tag) if tag else []
    config = vocabulary_config(vocabulary)
    reader = config.reader(lexicons.load())
    steps = [Step("normalised", tag or "nothing is left"), Step("posts", _seen(rows))]
    if why := reader.never(tag):
        return [*steps, Step("match", why), Step("label", _label(vocabulary, rows))]
    spellings = {row["hashtag"]: row["posts"] for row in rows} or {hashtag: config.min_posts}
    if sum(spellings.values()) < config.min_posts:
        parts, readings = None, reader.alternatives(tag, ())
    else:
        written = splitting.telling_spellings(spellings).get(tag, tag)
        parts, readings = _split(vocabulary, reader, tag, written)
    split = f"not split, on fewer than {config.min_posts} posts"
    steps.append(Step("words", split if parts is None else " ".join(parts)))
    steps += _noun_steps(vocabulary, reader, readings)
    steps += _usage_steps(vocabulary, tag)
    if rows:
        steps.append(Step("decision", _decision(rows[0])))
    steps.append(Step("label", _label(vocabulary, rows)))
    return steps


def _split(
    vocabulary: Vocabulary, reader: Reader, tag: str, written: str
) -> tuple[list[str], list[Reading]]:
    """The words of a tag, and the nouns that it can be, in the corpus of the vocabulary."""
    columns = (vocabulary.decisions[name].to_pylist() for name in ("normalised", "posts"))
    posts: Counter[str] = Counter()
    for met, count in zip(*columns, strict=True):
        posts[met] += count
    texts = splitting.to_split(written)
    forms = splitting.model(splitting.may_be_words(posts)).split_all(texts)
    found = [(parts, reader.alternatives(tag, parts)) for parts in forms]
    return next((one for one in found if one[1]), found[0])


def vocabulary_config(vocabulary: Vocabulary) -> VocabularyConfig:
    """The settings that a vocabulary was built with."""
    known = {field.name for field in fields(VocabularyConfig)}
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in vocabulary.meta.get("settings", {}).items()
        if key in known
    }
    return VocabularyConfig(**settings)


def _seen(rows: list[Row]) -> str:
    if not rows:
        return "not in these posts"
    spellings = ", ".join(f"{row['hashtag']} {row['posts']:,}" for row in rows[:SHOWN])
    return f"{sum(row['posts'] for row in rows):,} training posts, by spelling: {spellings}"


def _noun_steps(vocabulary: Vocabulary, reader: Reader, readings: list[Reading]) -> Iterator[Step]:
    if not readings:
        yield Step("match", "no rule finds a noun in it")
    for reading in readings:
        assert reading.match
        form, rule = reading.match.form, reading.match.rule
        yield Step("match", f"{form}, by rule {rule!r}, confidence {reading.match.confidence:.2f}")
        scored = {row["wnid"]: row for row in _senses(vocabulary, form)}
        for synset, share in reader.shares(form).items():
            wnid = reader.lexicon.wnid(synset)
            head = f"{wnid} {reader.lexicon.name(synset)}: {share:.0%} of its use"
            yield Step("sense", f"{head}; {_verdict(reader, reading, synset, scored.get(wnid))}")


def _verdict(reader: Reader, reading: Reading, synset: int, scored: Row | None) -> str:
    assert reading.match
    if synset not in reading.shares:
        needed = f"what a picture shows is less than {reader.needed(reading.match):.0%} of its use"
        why = reader.why_out(reading.match, synset)
        return f"out: {why or (reading.reason if 'reviewed' in reading.reason else needed)}"
    if scored is None:
        return "a candidate"
    company = f"company beyond chance {scored['company']:.0%}"
    return f"{company}, {'chosen' if scored['chosen'] else 'not chosen'}"


def _usage_steps(vocabulary: Vocabulary, tag: str) -> Iterator[Step]:
    if vocabulary.evidence:
        for row in _rows(vocabulary.evidence.usage, "normalised", tag):
            yield Step("usage", (
                f"spread {row['spread']:.2f} over the labels; nearest {row['nearest']}, on "
                f"{row['together']:,} of {row['posts']:,} posts (at least {row['association']:.0%} "
                f"at 95 %, by chance {row['chance']:.1%}); similarity {row['similarity']:.2f}"
                f"{', mutual nearest' if row['mutual'] else ''}"
            ))  # fmt: skip


def _decision(row: Row) -> str:
    return f"rule {row['rule']!r}, confidence {row['confidence']:.2f}: {row['reason']}"


def _label(vocabulary: Vocabulary, rows: list[Row]) -> str:
    if not rows:
        return "none: the posts do not have it"
    if rows[0]["label_id"] is None:
        return "none"
    label = vocabulary.labels.slice(rows[0]["label_id"], 1).to_pylist()[0]
    tags = " ".join(f"#{tag}" for tag in label["hashtags"][:SHOWN])
    synset = label["wnid"] or "no synset"
    return (
        f"{label['label_id']} {label['name']} ({synset}), {label['posts']:,} posts, "
        f"{len(label['hashtags'])} hashtags: {tags}"
    )


def _senses(vocabulary: Vocabulary, form: str) -> list[Row]:
    return _rows(vocabulary.evidence.senses, "noun", form) if vocabulary.evidence else []


def _rows(table: pa.Table, column: str, value: str) -> list[Row]:
    found: list[Row] = table.filter(pc.equal(table[column], value)).to_pylist()
    return found
