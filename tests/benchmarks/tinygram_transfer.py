"""What training on hashtags, cleaning them and resampling by them are worth, on tinygram.

The recipe `nano` with its own settings, so many images for every arm and seed, from one set of
shards that shows no image of the probe:

natural, sqrt, uniform   labels of the default vocabulary, alpha = 0, 0.5, 1
raw                      every hashtag on 5 training posts a label of its own, only written alike
                         (case, punctuation); alpha = 0
untrained                the network's initial weights

Each is measured by linear probe on Tiny ImageNet, on all test images and on those of the 100
classes that the shards show least. A figure is the mean over the seeds; differences are paired,
with 95 % bootstrap intervals over the test images. Seeds are not resampled: those of each
difference stand beside it. Stopped, the same command continues. From the repository root:

    uv run -m tests.benchmarks.tinygram_transfer --out /tmp/tinygram

With `HASHNEXT_CORES=1` two commands with different `--arms` share two cores, after one has prepared
the shards; the command without `--arms` then compares.
"""

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hashnext import cluster
from hashnext.evaluation.baseline import PREDICTIONS
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.vocabulary import DECISIONS, LABELS, Vocabulary
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Columns
from hashnext.recipes import nano
from hashnext.settings import test_data
from hashnext.shards.resampling import ResamplingConfig
from hashnext.storage import Folder
from jobs import prepare, pretrain, transfer, vocabulary
from tests.benchmarks.arms import compare, show

IMAGES = 50_000
"""Twelve passes over the posts."""
RARE_CLASSES = 100
MIN_POSTS = 5
POSTS = test_data() / "tinygram"
PROBE = {part: test_data() / "transfer" / f"tiny_imagenet_{part}.parquet"
         for part in ("train", "test")}  # fmt: skip
UNTRAINED = "untrained"
ARMS = {"natural": ("clean", 0.0), "sqrt": ("clean", 0.5), "uniform": ("clean", 1.0),
        "raw": ("raw", 0.0)}  # fmt: skip
"""Vocabulary and alpha of each."""
EVERY = (*ARMS, UNTRAINED)
COMPARED = (
    ("natural", UNTRAINED), ("sqrt", UNTRAINED), ("uniform", UNTRAINED), ("raw", UNTRAINED),
    ("natural", "raw"), ("sqrt", "natural"), ("uniform", "natural"), ("uniform", "sqrt"),
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """The folder of everything that is made, and the length of a run."""

    out: Path
    images: int

    def prepare(self) -> None:
        """Shards without the probe's images, and the two vocabularies of their posts."""
        shards = str(self.out / "shards")
        prepare.main(prepare.Prepare(
            posts=str(POSTS / "posts.parquet"), out=shards, size=64,
            exclude_similar_to=tuple(map(str, PROBE.values())),
        ))  # fmt: skip
        vocabulary.main(vocabulary.VocabularyJob(
            posts=shards, out=str(self.out / "clean"), min_posts=MIN_POSTS
        ))  # fmt: skip
        if not (self.out / "raw").exists():
            raw_vocabulary(shards).save(Folder.at(self.out / "raw"))

    def correct(self, arm: str, seed: int) -> dict[str, bool]:
        """Train the arm if it is to be trained, and tell which test images its probe gets right."""
        model = "random:nano" if arm == UNTRAINED else self._trained(arm, seed)
        out = self.out / f"probe-{arm}-{seed}"
        transfer.main(transfer.TransferJob(
            model=model, train=str(PROBE["train"]), test=str(PROBE["test"]), out=str(out), seed=seed
        ))  # fmt: skip
        table = pq.read_table(out / PREDICTIONS, columns=["id", "correct"])
        return dict(zip(table["id"].to_pylist(), table["correct"].to_pylist(), strict=True))

    def _trained(self, arm: str, seed: int) -> str:
        labels, alpha = ARMS[arm]
        config = replace(
            nano().shortened(self.images), seed=seed, resampling=ResamplingConfig(alpha=alpha)
        )
        out = self.out / f"run-{arm}-{seed}"
        pretrain.main(pretrain.Pretrain(
            shards=str(self.out / "shards"), vocabulary=str(self.out / labels), out=str(out),
            recipe="nano", config=config,
        ))  # fmt: skip
        return str(out / pretrain.PACKAGE)


def raw_vocabulary(shards: str) -> Vocabulary:
    """Every hashtag on at least `MIN_POSTS` training posts is a label."""
    source = PostSource.open(shards, Columns(), False)
    posts = pa.concat_tables(source.read(unit, ["post_id", "hashtags"]) for unit in source.units)
    trained = posts.filter(pa.array(~held_out(post_keys(posts["post_id"]))))
    tags = [{*map(normalise, row)} - {""} for row in trained["hashtags"].to_pylist()]
    counts = Counter(tag for row in tags for tag in sorted(row))
    kept = sorted((t for t in counts if counts[t] >= MIN_POSTS), key=lambda t: (-counts[t], t))
    labels = [
        {"label_id": i, "wnid": None, "wnids": [], "name": tag, "hashtags": [tag],
         "posts": counts[tag], "depth": 0, "parents": [],
         "information_content": -np.log2(counts[tag] / len(tags))} for i, tag in enumerate(kept)
    ]  # fmt: skip
    decisions = [
        {"hashtag": tag, "normalised": tag, "posts": counts[tag], "label_id": i, "rule": "raw",
         "confidence": 1.0, "reason": "taken as it is"} for i, tag in enumerate(kept)
    ]  # fmt: skip
    labelled = sum(not row.isdisjoint(kept) for row in tags)
    meta = {"posts": len(tags), "labelled": labelled, "source": source.fingerprint, "settings": {}}
    return Vocabulary(
        pa.Table.from_pylist(labels, LABELS), pa.Table.from_pylist(decisions, DECISIONS), meta
    )


def rare_images(shards: Path, ids: Sequence[str]) -> NDArray[np.bool_]:
    """Which test images, (n,), are of the classes with the fewest posts in the shards."""
    source = PostSource.open(str(shards), Columns(), False)
    tables = (source.read(unit, ["post_id"]) for unit in source.units)
    present = {post for table in tables for post in table["post_id"].to_pylist()}
    truth = pq.read_table(POSTS / "truth.parquet", columns=["post_id", "wnid"]).to_pylist()
    shown = Counter(row["wnid"] for row in truth if row["post_id"] in present)
    test = pq.read_table(PROBE["test"], columns=["id", "wnid"])
    class_of = dict(zip(map(str, test["id"].to_pylist()), test["wnid"].to_pylist(), strict=True))
    rare = {*sorted({*class_of.values()}, key=lambda w: (shown[w], w))[:RARE_CLASSES]}
    return np.array([class_of[i] in rare for i in ids])


def main() -> None:
    """Train and measure every arm and seed, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="*", choices=EVERY, help="measure only these, or none")
    args = parser.parse_args()
    out = args.out.resolve()
    os.environ.setdefault("HASHNEXT_HOME", str(out / "home"))
    experiment = Experiment(out, args.images)
    with cluster.session():
        experiment.prepare()
        right = {
            (arm, seed): experiment.correct(arm, seed)
            for seed in range(args.seeds) for arm in (EVERY if args.arms is None else args.arms)
        }  # fmt: skip
    if args.arms is not None:
        return
    ids = [*right[UNTRAINED, 0]]
    arms = {
        arm: np.array([[right[arm, seed][i] for i in ids] for seed in range(args.seeds)], float)
        for arm in EVERY
    }
    rare = rare_images(out / "shards", ids)
    every = np.ones(len(ids), bool)
    figures = {"all": compare(arms, COMPARED, every), "rare": compare(arms, COMPARED, rare)}
    show("all classes", figures["all"])
    show(f"the {RARE_CLASSES} classes with the fewest posts", figures["rare"])
    (out / "figures.json").write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
