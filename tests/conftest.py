"""Real parts for the tests: one local Ray, an MLflow store and a home folder of their own."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from hashnext import cluster, settings
from hashnext.hashtags import lexicon
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.vocabulary import DECISIONS, LABELS, Vocabulary
from hashnext.images.decode import encode_jpeg
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXtConfig, build
from hashnext.posts.tombstones import Tombstones
from hashnext.registry.package import ModelPackage, write_package
from hashnext.storage import Folder

# A first call loads libraries, and machines are busy: time limits are pytest-timeout's.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")
torch.set_num_threads(1)

OUTSIDE = (
    "MLFLOW_TRACKING_URI", "RAY_ADDRESS", "HASHNEXT_TOMBSTONES", "AWS_ENDPOINT_URL",
    "AWS_SESSION_TOKEN",
)  # fmt: skip
for variable in OUTSIDE:
    os.environ.pop(variable, None)
# Ray's workers see what is set before they start. Test files that run at a time share the cores:
# two programs of two threads each would wait for each other. Nobody's key: the S3 server of the
# tests asks for one and takes any; without the last, a machine that has none would be asked over
# the network.
LANES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
CORES = str(max(1, (os.cpu_count() or 1) // LANES))
os.environ |= {
    "HASHNEXT_CORES": CORES, "OMP_NUM_THREADS": CORES,
    "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """HASHNEXT_HOME of the test session."""
    folder = tmp_path_factory.mktemp("home")
    os.environ["HASHNEXT_HOME"] = str(folder)
    yield folder
    del os.environ["HASHNEXT_HOME"]


@pytest.fixture
def tombstones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tombstones:
    """A folder of tombstones for one test; those of HASHNEXT_HOME would count for all others."""
    folder = tmp_path / "tombstones"
    folder.mkdir()
    monkeypatch.setenv("HASHNEXT_TOMBSTONES", str(folder))
    return Tombstones.open()


@pytest.fixture(scope="session")
def ray_session(home: Path) -> Iterator[None]:
    """One local Ray for all the tests that need one."""
    with cluster.session():
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data; the test is skipped where it is absent."""
    folder = settings.test_data()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set HASHNEXT_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def tiny_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A model package with random weights and eight labels, 32 px."""
    vocabulary = tiny_vocabulary()
    config = ResNeXtConfig(blocks=(1, 1, 1, 1), groups=1, small_stem=True)
    torch.manual_seed(0)
    model = build(config, vocabulary.num_labels)
    torch.nn.init.normal_(model.fc.weight, std=1.0)  # else all labels are equally likely
    return write_package(
        Folder.at(tmp_path_factory.mktemp("tiny") / "package"),
        state_dict=model.state_dict(),
        config=config,
        vocabulary=vocabulary,
        preprocess=Preprocess(size=32),
        calibration={"temperature": 1.0},
        lineage={"dataset": "tiny-dataset", "git_commit": "0" * 40},
    )


TINY_SPELLINGS = {
    "n02132136": {"brownbear": 60, "BrownBear": 30, "ursusarctos": 9, "myprivatebear": 2},
    "n02084071": {"dog": 300, "dogs": 120},
    "n02121620": {"cat": 280, "CatsOfInstagram": 90},
    "n11517776": {"sunset": 4},
    "n09246464": {"cliff": 40},
    "n09428293": {"seashore": 25, "coast": 70},
    "n07873807": {"pizza": 150, "pizzatime": 33},
    "n04285008": {"sportscar": 21},
}
"""Spellings of each label, by synset, with the number of posts."""


def tiny_vocabulary() -> Vocabulary:
    """Eight labels; one of them has only spellings too rare to be published."""
    nouns = lexicon.load()
    labels, decisions = [], []
    for label_id, (wnid, spellings) in enumerate(TINY_SPELLINGS.items()):
        synset = nouns.row(wnid)
        labels.append({
            "label_id": label_id, "wnid": wnid, "wnids": [wnid], "name": nouns.name(synset),
            "hashtags": list(dict.fromkeys(map(normalise, spellings))),
            "posts": sum(spellings.values()), "depth": nouns.depth(synset),
            "parents": [nouns.wnid(parent) for parent in nouns.ancestors(synset)],
            "information_content": 1.0,
        })  # fmt: skip
        decisions += [
            {
                "hashtag": hashtag, "normalised": normalise(hashtag), "posts": posts,
                "label_id": label_id, "rule": "lemma", "confidence": 1.0, "reason": "",
            }
            for hashtag, posts in spellings.items()
        ]  # fmt: skip
    tables = pa.Table.from_pylist(labels, LABELS), pa.Table.from_pylist(decisions, DECISIONS)
    return Vocabulary(*tables, {"posts": 1000})


COLOURS = {
    "dog": (200, 60, 40),
    "cat": (40, 160, 60),
    "pizza": (50, 80, 200),
    "cliff": (210, 200, 60),
}
PRIVATE, TRUNCATED = 7, 11
"""Every so many posts are private, or have a truncated image."""


def lists(of: Sequence[Sequence[str | None] | None]) -> pa.ListArray:
    """Lists of hashtags or names, list<string> (n,)."""
    return pa.array(of, pa.list_(pa.string()))


def coloured_posts(count: int, seed: int = 0) -> pa.Table:
    """Posts whose first hashtag names the colour of a noisy 48 x 40 px image."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        name = list(COLOURS)[min(int(rng.exponential(1.2)), len(COLOURS) - 1)]
        noisy = np.array(COLOURS[name]) + rng.normal(0, 30, (40, 48, 3))
        data = encode_jpeg(np.clip(noisy, 0, 255).astype(np.uint8))
        rows.append({
            "post_id": f"post{number:05d}",
            "image": data[: len(data) // 2] if number % TRUNCATED == 0 else data,
            "hashtags": [name, "love"] if number % 3 else [f"#{name}s", "instagood"],
            "public": number % PRIVATE != 0,
        })  # fmt: skip
    return pa.Table.from_pylist(rows)


@dataclass(frozen=True)
class Corpus:
    """Small posts, and what the first jobs make of them."""

    posts: str
    shards: str
    vocabulary: str
    probe: str


@pytest.fixture(scope="session")
def corpus(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """600 coloured posts, their shards and vocabulary, and a labelled set to probe with."""
    from jobs import prepare, vocabulary

    folder = tmp_path_factory.mktemp("corpus")
    made = Corpus(*(str(folder / name) for name in ("posts", "shards", "vocabulary", "probe")))
    pq.write_table(coloured_posts(600), made.posts + ".parquet", row_group_size=100)
    labelled = coloured_posts(160, seed=1)
    names = [row[0].strip("#").rstrip("s") for row in labelled["hashtags"].to_pylist()]
    sound = [n for n in range(160) if n % TRUNCATED]
    probe = pa.table({
        "id": labelled["post_id"], "image": labelled["image"],
        "label": [list(COLOURS).index(name) for name in names],
    })  # fmt: skip
    pq.write_table(probe.take(sound), made.probe + ".parquet")
    made = replace(made, posts=made.posts + ".parquet", probe=made.probe + ".parquet")
    prepare.main(prepare.Prepare(posts=made.posts, out=made.shards, size=32))
    vocabulary.main(vocabulary.VocabularyJob(posts=made.posts, out=made.vocabulary))
    return made
