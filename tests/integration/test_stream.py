"""The stream of batches: the planned samples, whatever the workers, start or shard."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from conftest import Corpus

from hashnext.errors import DataError
from hashnext.hashtags.corpus import read_corpus
from hashnext.hashtags.cut import recount
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.identity import post_keys
from hashnext.posts.readers import PostSource
from hashnext.recipes import recipe
from hashnext.shards import stream
from hashnext.shards.batch import Batch, StreamConfig
from hashnext.shards.ledger import Ledger
from hashnext.shards.manifest import Manifest
from hashnext.shards.missing import key_name, missing_posts, posts_of_lost_files
from hashnext.shards.placement import Placement
from hashnext.shards.stream import TrainingSet, evaluation_batches, training_batches
from hashnext.storage import Folder
from hashnext.training.local import run_locally
from hashnext.training.pretrain import Plan, plan
from tests.shards_by_hand import make_shards

BATCH, IMAGES = 64, 64 * 6 + 10


@pytest.fixture(scope="module")
def planned(corpus: Corpus) -> Plan:
    """The nano recipe over the small corpus."""
    return plan(recipe("nano"), Folder.at(corpus.shards), Vocabulary.load(corpus.vocabulary))


def test_the_policy_on_hypernyms_reaches_the_loss(corpus: Corpus, tmp_path: Path) -> None:
    even = Vocabulary.load(corpus.vocabulary)
    weighted = recount(even.with_specificity("weight"), read_corpus(PostSource.open(corpus.shards)))
    config = recipe("nano").shortened(128)
    plans = [plan(config, Folder.at(corpus.shards), labels) for labels in (even, weighted)]
    assert plans[0].run.label_weights is None
    assert plans[1].run.label_weights is not None
    assert len(plans[1].run.label_weights) == weighted.num_labels
    outcome, _ = run_locally(plans[1].run, tmp_path)
    assert outcome.samples == 128


def test_what_resampling_does_is_known_before_the_run(planned: Plan) -> None:
    figures = planned.figures()
    assert figures["expected_epoch"] == planned.run.training.factors.sum()
    assert figures["expected_epoch"] > figures["training_posts"]
    assert 0 < figures["labels_raised"] < 1
    assert planned.warnings() == []


def batches(data: TrainingSet, start: int = 0, rank: int = 0, world: int = 1) -> list[Batch]:
    return [
        *training_batches(data, batch=BATCH, images=IMAGES, start=start, rank=rank, world=world)
    ]


def ledger(shares: list[list[Batch]]) -> str:
    ledgers = []
    for share in shares:
        one = Ledger.empty(StreamConfig().streams)
        for batch in share:
            samples = batch.samples
            one.add(samples.streams, samples.epochs, batch.keys, samples.repeats)
        ledgers.append(one)
    return ledgers[0].merged(ledgers).digest


def test_batches_are_the_orders_samples(planned: Plan) -> None:
    data = planned.run.training
    found = batches(data)
    assert [len(batch) for batch in found] == [64] * 6 + [10]
    order = data.order().take(0, IMAGES)
    assert (np.concatenate([b.samples.posts for b in found]) == order.posts).all()
    for batch in found:
        assert batch.images.shape[1:] == (64, 64, 3)
        assert batch.images.dtype == np.uint8
        assert (np.diff(batch.offsets) >= 1).all()
        assert 0.2 < batch.flips.mean() < 0.8 or len(batch) < 64


def test_workers_and_restarts_give_the_same_samples(planned: Plan) -> None:
    data = planned.run.training
    whole = batches(data)
    shared = [batches(data, rank=rank, world=3) for rank in range(3)]
    resumed = [whole[:2] + batches(data, start=2 * BATCH)]
    assert {len(share) for share in shared} == {7}, "every worker takes every step"
    assert ledger(shared) == ledger([whole]) == ledger(resumed)
    again = resumed[0][2]
    assert (again.images == whole[2].images).all(), "crops are replayed, too"
    assert (again.flips == whole[2].flips).all()


def test_a_long_run_reads_dataset_after_dataset(
    planned: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = batches(planned.run.training)
    monkeypatch.setattr(stream, "BATCHES_OF_A_DATASET", 3)
    parts = batches(planned.run.training)
    assert [len(batch) for batch in parts] == [len(batch) for batch in whole]
    for part, one in zip(parts, whole, strict=True):
        assert (part.keys == one.keys).all()
        assert (part.images == one.images).all()


def test_labels_belong_to_their_images(planned: Plan, corpus: Corpus) -> None:
    names = planned.vocabulary.labels["name"].to_pylist()
    colours = {"dog": 0, "cat": 1, "pizza": 2}
    checked = 0
    for batch in batches(planned.run.training)[:2]:
        strongest = batch.images.reshape(len(batch), -1, 3).mean(axis=1).argmax(axis=1)
        for i in range(len(batch)):
            labels = [names[j] for j in batch.labels[batch.offsets[i] : batch.offsets[i + 1]]]
            for label in labels:
                if label in colours:
                    assert strongest[i] == colours[label]
                    checked += 1
    assert checked > 40


def test_evaluation_reads_each_held_out_post_once(planned: Plan) -> None:
    data = planned.run.held_out
    shares = [list(evaluation_batches(data, batch=4, rank=rank, world=2)) for rank in range(2)]
    keys = np.concatenate([batch.keys for share in shares for batch in share])
    assert sorted(keys.tolist()) == sorted(data.index.keys.tolist())
    assert len(keys) > 5


def test_a_damaged_row_group_is_skipped_and_named(corpus: Corpus, tmp_path: Path) -> None:
    shutil.copytree(corpus.shards, tmp_path / "shards")
    vocabulary = Vocabulary.load(corpus.vocabulary)
    planned = plan(recipe("nano"), Folder.at(tmp_path / "shards"), vocabulary)
    part = next((tmp_path / "shards").glob("part-*.parquet"))
    data = bytearray(part.read_bytes())
    image = data.index(b"\xff\xd8\xff", 20_000)
    data[image : image + 40] = bytes(40)
    part.write_bytes(data)
    found = batches(planned.run.training)
    skipped = {group: error for batch in found for group, error in batch.skipped.items()}
    assert len(skipped) == 1
    (group,) = skipped
    missing = {key: of for batch in found for key, of in batch.missing.items()}
    order = planned.run.training.order().take(0, IMAGES)
    sound = planned.run.training.index.row_groups[order.posts] != group
    assert (np.concatenate([b.samples.posts for b in found]) == order.posts[sound]).all()

    training = planned.run.training
    assert set(missing) == {key_name(key) for key in training.index.keys[order.posts[~sound]]}
    named = missing_posts(training.shards, training.manifest, missing, skipped)
    ids = pa.array([row["post_id"] for row in named])
    assert [key_name(key) for key in post_keys(ids)] == sorted(missing)
    assert {(row["file"], row["error"]) for row in named} == {(part.name, skipped[group])}


def test_files_that_cannot_be_read_are_left_out_and_named(corpus: Corpus, tmp_path: Path) -> None:
    """One is cut short, one gone, and in one some bytes of the hashtags are others; that no post of
    one carries a label is no damage."""
    table = pq.read_table(corpus.posts)
    for absent in ("image_uri", "problem"):
        table = table.append_column(absent, pa.nulls(600, pa.string()))
    posts = table.to_pylist()
    for post in posts[300:400]:
        post["hashtags"] = ["#tbt"]
    posts[599]["post_id"] = posts[150]["post_id"]
    shards = make_shards(tmp_path / "shards", posts, part_rows=100)
    names = [file.name for file in Manifest.read(shards).files]
    sound = _plan(shards, corpus).run
    whole = sound.training.index
    kept = {n: rows_in(tmp_path / "shards" / name) for n, name in enumerate(names)}
    os.truncate(tmp_path / "shards" / names[1], 1000)
    (tmp_path / "shards" / names[2]).unlink()
    overwrite_hashtags(tmp_path / "shards" / names[4])

    planned = _plan(shards, corpus)
    index = planned.run.training.index
    assert list(planned.lost_files) == [names[1], names[2], names[4]]
    assert [w.split()[0] for w in planned.warnings()] == list(planned.lost_files)
    left = np.isin(whole.row_groups, [0, 3, 5])
    assert (index.keys == whole.keys[left]).all()
    assert (index.row_groups == whole.row_groups[left]).all()
    labelled = np.concatenate([whole.row_groups, sound.held_out.index.row_groups])
    assert 3 not in labelled
    assert index.unlabelled == sum(len(kept[n]) - (labelled == n).sum() for n in (0, 3, 5))
    assert sum(b.skipped != {} for b in batches(planned.run.training)) == 0
    named = posts_of_lost_files(shards, Manifest.read(shards), planned.lost_files)
    assert {row["post_id"] for row in named} == kept[1] | kept[2] | kept[4]

    assert len(_plan(shards, corpus, planned.lost_files).run.training.index) == len(index)
    (tmp_path / "shards" / names[0]).unlink()
    with pytest.raises(DataError, match=f"{names[0]} cannot be read, and could be when"):
        _plan(shards, corpus, planned.lost_files)
    for name in (names[3], names[5]):
        (tmp_path / "shards" / name).unlink()
    with pytest.raises(DataError, match=f"{names[0]} cannot be read .FileNotFoundError"):
        _plan(shards, corpus)


def _plan(shards: Folder, corpus: Corpus, lost: dict[str, str] | None = None) -> Plan:
    return plan(recipe("nano"), shards, Vocabulary.load(corpus.vocabulary), lost=lost)


def rows_in(part: Path) -> set[str]:
    """Ids of the posts in a part."""
    return set(pq.read_table(part, columns=["post_id"])["post_id"].to_pylist())


def overwrite_hashtags(part: Path) -> None:
    """Change some bytes of the last column, the hashtags."""
    column = pq.ParquetFile(part).metadata.row_group(0).column(4)
    data = bytearray(part.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    data[middle : middle + 8] = bytes(8)
    part.write_bytes(data)


@pytest.mark.usefixtures("ray_session")
def test_decoding_runs_on_the_chosen_nodes_and_elsewhere_without_them() -> None:
    def node(_: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"node": np.array([ray.get_runtime_context().get_node_id()])}

    (here,) = [one["NodeID"] for one in ray.nodes()]
    for nodes in ((here,), ("0" * 56,)):
        found = ray.data.from_items([0]).map_batches(node, **Placement(1, nodes).options)
        assert found.take_all() == [{"node": here}]
