"""A vocabulary: the labels of a corpus, and for every hashtag the decision that was made on it.

On disk a folder: `labels.parquet`, `decisions.parquet`, `vocabulary.json`, and where it was built
from posts the evidence, `senses.parquet` and `usage.parquet`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashnext.errors import ConfigError, DataError, SchemaError
from hashnext.hashtags.view import DEFAULT_SPECIFICITY, LabelView, Specificity, make_view
from hashnext.storage import Folder

LABELS = pa.schema([
    ("label_id", pa.int32()), ("wnid", pa.string()), ("wnids", pa.list_(pa.string())),
    ("name", pa.string()), ("hashtags", pa.list_(pa.string())), ("posts", pa.int64()),
    ("depth", pa.int32()), ("parents", pa.list_(pa.string())),
    ("information_content", pa.float32()),
])  # fmt: skip
"""`hashtags` are normalised, the most frequent first; `parents` are the wnids of all hypernyms."""

DECISIONS = pa.schema([
    ("hashtag", pa.string()), ("normalised", pa.string()), ("posts", pa.int64()),
    ("label_id", pa.int32()), ("rule", pa.string()), ("confidence", pa.float32()),
    ("reason", pa.string()),
])  # fmt: skip
"""A row for every hashtag as written; `label_id` is null where it names no label."""

SENSES = pa.schema([
    ("noun", pa.string()), ("wnid", pa.string()), ("name", pa.string()), ("share", pa.float32()),
    ("company", pa.float32()), ("chosen", pa.bool_()),
])  # fmt: skip
"""Candidate senses of every noun met, and what spoke for them; see `senses.Score`."""

USAGE = pa.schema([
    ("normalised", pa.string()), ("posts", pa.int64()), ("spread", pa.float32()),
    ("nearest", pa.string()), ("together", pa.int64()), ("association", pa.float32()),
    ("chance", pa.float32()), ("similarity", pa.float32()), ("mutual", pa.bool_()),
])  # fmt: skip
"""How frequent tags without a noun are used; see `usage.Use`. `nearest` is the label's name."""

MIN_WEIGHT = 0.1
"""Bits that the commonest labels weigh at least: without any a post would have no target."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Why the decisions are what they are."""

    senses: pa.Table
    usage: pa.Table

    @classmethod
    def load(cls, folder: Folder) -> "Evidence | None":
        """The evidence in a vocabulary's folder, or None when it has none."""
        if not (folder.has("senses.parquet") and folder.has("usage.parquet")):
            return None
        return cls(
            _conform(folder, "senses.parquet", SENSES), _conform(folder, "usage.parquet", USAGE)
        )


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Labels, decisions, and where they come from. Label ids run by posts, then by wnid."""

    labels: pa.Table
    decisions: pa.Table
    meta: dict[str, Any]
    """`posts` counted, `labelled` posts, `source` fingerprint, `settings`, `wordnet` version."""
    evidence: "Evidence | None" = None

    @classmethod
    def load(cls, location: str | Path | Folder) -> "Vocabulary":
        """Read a vocabulary's folder.

        Raises:
            DataError: the folder holds no vocabulary.
            SchemaError: a table lacks a column of the contract.
        """
        folder = location if isinstance(location, Folder) else Folder.at(location)
        if not folder.has("vocabulary.json"):
            raise DataError(f"{folder.location}: holds no vocabulary.json; not a vocabulary")
        labels = _conform(folder, "labels.parquet", LABELS)
        decisions = _conform(folder, "decisions.parquet", DECISIONS)
        highest = pc.max(decisions["label_id"]).as_py()
        if highest is not None and highest >= labels.num_rows:
            raise DataError(f"{folder.location}: decisions name label {highest}, which is missing")
        return cls(labels, decisions, _meta(folder), Evidence.load(folder))

    def save(self, folder: Folder) -> None:
        """Write the files, `vocabulary.json` last."""
        if self.evidence:
            folder.write_table("senses.parquet", self.evidence.senses)
            folder.write_table("usage.parquet", self.evidence.usage)
        folder.write_table("labels.parquet", self.labels)
        folder.write_table("decisions.parquet", self.decisions)
        folder.write_json("vocabulary.json", self.meta | {"fingerprint": self.fingerprint})

    @property
    def num_labels(self) -> int:
        """V."""
        return int(self.labels.num_rows)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what labelling depends on: policy, labels' synsets and posts, tags' labels."""
        digest = sha256(repr((self.meta["posts"], self.specificity)).encode())
        for table, columns in (
            (self.labels, ["label_id", "wnids", "posts", "parents"]),
            (self._named.sort_by("normalised"), ["normalised", "label_id"]),
        ):
            digest.update(repr(table.select(columns).to_pydict()).encode())
        return digest.hexdigest()

    def frequencies(self) -> NDArray[np.float64]:
        """f(h): the share of training posts that carry label h, float64 (V,)."""
        posts: NDArray[np.int64] = self.labels["posts"].to_numpy()
        return posts / np.float64(self.meta["posts"])

    @property
    def specificity(self) -> Specificity:
        """What becomes of a label beside its hyponym on one post."""
        policy: Specificity = self.meta.get("settings", {}).get("specificity", DEFAULT_SPECIFICITY)
        return policy

    def with_specificity(self, policy: Specificity) -> "Vocabulary":
        """The same labels under another policy; their counts are those of the old one."""
        settings = self.meta.get("settings", {}) | {"specificity": policy}
        return replace(self, meta=self.meta | {"settings": settings})

    def target_weights(self) -> NDArray[np.float32] | None:
        """How the labels of a post share its target, float32 (V,); None shares it evenly.

        Under `weight` a label weighs its information content in bits, at least `MIN_WEIGHT`.
        """
        if self.specificity != "weight":
            return None
        content: NDArray[np.float32] = self.labels["information_content"].to_numpy()
        return np.maximum(content, np.float32(MIN_WEIGHT))

    def view(self) -> LabelView:
        """The vocabulary as a function on hashtags."""
        tags, ids = (self._named[name].to_pylist() for name in ("normalised", "label_id"))
        return make_view(
            dict(zip(tags, ids, strict=True)),
            self.labels["wnids"],
            self.labels["parents"],
            self.specificity,
        )

    def select(self, labels: Sequence[int], reason: str) -> "Vocabulary":
        """Keep some labels, renumbered in the order given; `reason` explains the other tags.

        Counts stay as they were: where a label went, its hypernyms now reach more posts;
        `cut.recount` tells how many.
        """
        new_id = np.full(self.num_labels + 1, -1, np.int64)
        new_id[list(labels)] = np.arange(len(labels))
        old = pc.fill_null(self.decisions["label_id"], self.num_labels).to_numpy()
        ids, lost = new_id[old], (new_id[old] < 0) & (old < self.num_labels)
        kept = self.labels.take(pa.array(labels, pa.int64()))
        return replace(
            self,
            labels=_put(kept, "label_id", pa.array(range(len(labels)), pa.int32())),
            decisions=_put(
                _put(self.decisions, "label_id", pa.array(ids, pa.int32(), mask=ids < 0)),
                "reason",
                pc.if_else(pa.array(lost), reason, self.decisions["reason"]),
            ),
        )

    def most_frequent(self, n: int) -> "Vocabulary":
        """The n labels on most posts (all, when there are fewer).

        Raises:
            ConfigError: n < 1.
        """
        if n < 1:
            raise ConfigError("max_labels", n, "at least 1")
        kept = range(min(n, self.num_labels))
        return self.select(kept, f"beyond the {n} most frequent labels")

    def published(self, min_posts: int = 5) -> "Vocabulary":
        """The same labels without any hashtag that is written on fewer than `min_posts` posts."""
        decisions = self.decisions.filter(pc.greater_equal(self.decisions["posts"], min_posts))
        public = set(decisions["normalised"].to_pylist())
        hashtags = [
            [t for t in tags if t in public] for tags in self.labels["hashtags"].to_pylist()
        ]
        column = pa.array(hashtags, pa.list_(pa.string()))
        labels = _put(self.labels, "hashtags", column)
        return replace(self, labels=labels, decisions=decisions, evidence=None)

    @property
    def _named(self) -> pa.Table:
        """One row (normalised, label_id) for every normalised tag that has a label."""
        named = self.decisions.filter(self.decisions["label_id"].is_valid())
        return named.group_by(["normalised", "label_id"]).aggregate([])


def _put(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    index = table.schema.get_field_index(name)
    return table.set_column(index, table.schema.field(index), column)


def _conform(folder: Folder, name: str, schema: pa.Schema) -> pa.Table:
    try:
        table = folder.read_table(name)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{folder.location_of(name)}: cannot be read ({error})") from error
    if missing := [field for field in schema.names if field not in table.column_names]:
        raise SchemaError(f"{folder.location_of(name)}: lacks column {missing[0]!r}")
    try:
        return table.select(schema.names).cast(schema)
    except pa.ArrowInvalid as error:
        raise SchemaError(f"{folder.location_of(name)}: {error}") from error


def _meta(folder: Folder) -> dict[str, Any]:
    try:
        meta = folder.read_json("vocabulary.json")
    except ValueError as error:
        raise DataError(f"{folder.location_of('vocabulary.json')}: is no JSON ({error})") from error
    if not isinstance(meta, dict) or not isinstance(meta.get("posts"), int):
        raise DataError(f"{folder.location_of('vocabulary.json')}: lacks the number of posts")
    return meta
