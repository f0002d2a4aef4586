"""Everything in an object store: real servers on loopback, spoken to by pyarrow alone."""

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import PRIVATE, TRUNCATED, coloured_posts
from pyarrow import fs

from hashnext.errors import DataError, StateError
from hashnext.evaluation.labelled_folder import open_labelled
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.models.initial_weights import read_weights
from hashnext.models.resnext import ResNeXtConfig, build
from hashnext.outputs import JobFolder
from hashnext.posts.readers import PostSource
from hashnext.recipes import recipe
from hashnext.shards.manifest import Manifest
from hashnext.shards.stream import training_batches
from hashnext.storage import Folder
from hashnext.training.pretrain import plan
from jobs import prepare, vocabulary

POSTS = 300
GONE = 5
"""Number of a public post whose image is not there."""
START_LIMIT_S = 60
REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Store:
    """A bucket of a server."""

    endpoint: str
    root: str
    """URI of the bucket."""
    options: str
    """Query of a URI, beside the endpoint."""

    def uri(self, name: str) -> str:
        """URI of something in the bucket, with all that is needed to reach it."""
        return f"{self.root}/{name}?endpoint_override={self.endpoint}&scheme=http&{self.options}"

    def names(self) -> list[str]:
        """Names of all objects."""
        folder = Folder.at(self.uri(""))
        selector = fs.FileSelector(folder.path, recursive=True)
        return [info.path for info in folder.filesystem.get_file_info(selector) if info.is_file]


@contextmanager
def serving(*command: str) -> Iterator[str]:
    """Address of a server that runs while the block does; its port comes behind the command."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    server = subprocess.Popen(
        [*command, port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for("127.0.0.1", int(port), server)
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def s3() -> Iterator[Store]:
    """A server of our own that speaks S3, with an empty bucket."""
    with serving(sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port") as endpoint:
        client = fs.S3FileSystem(
            endpoint_override=endpoint, scheme="http", region="us-east-1",
            allow_bucket_creation=True,
        )  # fmt: skip
        client.create_dir("bucket")
        yield Store(endpoint, "s3://bucket", "region=us-east-1")


@pytest.fixture(scope="module")
def gs() -> Iterator[Store]:
    """One that speaks Google Cloud Storage."""
    program = Path(sys.executable).with_name("gcp-storage-emulator")
    options = ("--host", "127.0.0.1", "--in-memory", "--default-bucket", "bucket")
    with serving(str(program), "start", *options, "--port") as endpoint:
        yield Store(endpoint, "gs://anonymous@bucket", "retry_limit_seconds=5")


@pytest.fixture(scope="module", params=["s3", "gs"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each of the servers."""
    found: Store = request.getfixturevalue(request.param)
    return found


def _wait_for(host: str, port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server stopped"
        with suppress(OSError):
            socket.create_connection((host, port), timeout=1).close()
            return
        time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def posts(store: Store) -> str:
    """URI of posts whose images lie beside them, named in three ways."""
    folder = Folder.at(store.uri("in"))
    rows = coloured_posts(POSTS).to_pylist()
    for number, row in enumerate(rows):
        name = f"photos/{row['post_id']} é.jpg"
        if number != GONE:
            folder.write_bytes(name, row.pop("image"))
        uris = (name, folder.location_of(name), f"{store.root}/in/{name}")
        row["image_uri"] = uris[number % len(uris)]
    table = pa.Table.from_pylist(rows).select(["post_id", "image_uri", "hashtags", "public"])
    folder.write_table("posts.parquet", table, row_group_size=100)
    return folder.location_of("posts.parquet")


@pytest.fixture(scope="module")
def shards(store: Store, posts: str, ray_session: None) -> str:
    """URI of the shards of the posts."""
    out = store.uri("shards")
    prepare.main(prepare.Prepare(posts=posts, out=out, size=32))
    return out


def test_no_post_is_lost_between_buckets(shards: str) -> None:
    folder = Folder.at(shards)
    manifest = Manifest.read(folder)
    public = [number for number in range(POSTS) if number % PRIVATE]
    truncated = [number for number in public if number % TRUNCATED == 0]
    assert manifest.quarantined == {
        "missing": 1, "private": POSTS - len(public), "truncated": len(truncated),
    }  # fmt: skip
    kept = [row for f in manifest.files for row in folder.read_table(f.name)["post_id"].to_pylist()]
    gone = {*truncated, GONE}
    assert kept == [f"post{number:05d}" for number in public if number not in gone]
    missing = next(
        row
        for row in folder.read_table("quarantine.parquet").to_pylist()
        if row["stage"] == "fetch"
    )
    assert missing["post_id"] == f"post{GONE:05d}"
    assert "FileNotFoundError" in missing["detail"]


def test_shards_hold_what_they_hold_on_a_disk(
    shards: str, posts: str, ray_session: None, tmp_path: Path
) -> None:
    prepare.main(prepare.Prepare(posts=posts, out=str(tmp_path / "out"), size=32))
    assert Manifest.read(Folder.at(tmp_path / "out")) == Manifest.read(Folder.at(shards))


def test_a_second_run_does_nothing_and_another_size_is_refused(
    shards: str, posts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare.main(prepare.Prepare(posts=posts, out=shards, size=32))
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(StateError, match="size"):
        prepare.main(prepare.Prepare(posts=posts, out=shards, size=64))


def test_a_vocabulary_and_a_stream_come_from_there(
    shards: str, store: Store, ray_session: None
) -> None:
    out = store.uri("vocabulary")
    vocabulary.main(vocabulary.VocabularyJob(posts=shards, out=out, min_posts=3))
    labels = Vocabulary.load(out)
    assert {"dog", "cat"} <= set(labels.labels["name"].to_pylist())
    assert labels.meta["source"] == PostSource.open(shards).fingerprint
    data = plan(recipe("nano"), Folder.at(shards), labels).run.training
    batches = list(training_batches(data, batch=32, images=80, start=0, rank=0, world=1))
    assert [len(batch) for batch in batches] == [32, 32, 16]
    assert all(batch.images.any(axis=(1, 2, 3)).all() and not batch.skipped for batch in batches)


def test_places_that_are_not_there_are_one_line(store: Store) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        PostSource.open(store.uri("nowhere.parquet"))
    elsewhere = store.uri("x").replace("bucket", "nobodys-bucket")
    with pytest.raises(DataError):
        PostSource.open(elsewhere)
    with pytest.raises(StateError, match=r"nobodys-bucket.*cannot be used"):
        JobFolder.claim(elsewhere, "prepare", {})


def test_published_weights_and_their_photos_are_read_from_there(s3: Store) -> None:
    """The other server answers one request at a time, and this asks while it reads."""
    config = ResNeXtConfig(blocks=(1, 1, 1, 1), groups=1, width_per_group=8)
    buffer = io.BytesIO()
    torch.save(build(config, 2).state_dict(), buffer)
    there = Folder.at(s3.uri("weights"))
    there.write_bytes("ig_resnext101_32x8.pth", buffer.getvalue())
    weights = read_weights(there.location_of("ig_resnext101_32x8.pth"))
    assert (weights.config, weights.num_labels) == (config, 2)
    assert weights.sha256 == hashlib.sha256(buffer.getvalue()).hexdigest()
    for name in ("cat/é 1.jpg", "dog/2.jpg"):
        there.write_bytes(f"photos/{name}", name.encode())
    photos = open_labelled(there.location_of("photos"), 2)
    assert photos.labels.tolist() == [0, 1]
    assert list(photos.batches(1)) == [["cat/é 1.jpg".encode()], [b"dog/2.jpg"]]


def test_a_writer_that_dies_leaves_no_object(store: Store) -> None:
    uri = store.uri("half/part.parquet")
    program = (
        "import sys, time\n"
        "from hashnext.storage import locate\n"
        "filesystem, path = locate(sys.argv[1])\n"
        "stream = filesystem.open_output_stream(path)\n"
        "stream.write(bytes(30 << 20))\n"
        "stream.flush()\n"
        "print('written', flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"written\n"
        writer.kill()
    assert not [name for name in store.names() if name.startswith("bucket/half")]
    Folder.at(store.uri("half")).write_bytes("part.parquet", bytes(30 << 20))
    assert len(Folder.at(store.uri("half")).read_bytes("part.parquet")) == 30 << 20


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_preparation_leaves_no_manifest_and_is_continued(
    s3: Store, tmp_path: Path
) -> None:
    """As a command, with an endpoint from the environment."""
    image = coloured_posts(2)["image"][1].as_py()
    rows = 3_000
    table = pa.table({
        "post_id": [f"post{n:05d}" for n in range(rows)], "image": [image] * rows,
        "hashtags": [["dog"]] * rows, "public": [True] * rows,
    })  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=1024)
    Folder.at(s3.uri("many")).write_bytes("posts.parquet", sink.getvalue())
    command = [
        sys.executable, "-m", "jobs.prepare", "--posts", "s3://bucket/many/posts.parquet",
        "--duplicates.remove", "none", "--size", "32", "--out",
    ]  # fmt: skip
    environment = os.environ | {
        "AWS_ENDPOINT_URL": f"http://{s3.endpoint}", "AWS_REGION": "us-east-1",
    }  # fmt: skip

    def start(out: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*command, out], cwd=REPO, env=environment)

    killed = start("s3://bucket/killed")
    deadline = time.monotonic() + 240
    while not any("killed/records/part" in name for name in s3.names()):
        assert killed.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    assert "bucket/killed/manifest.json" not in s3.names()
    assert start("s3://bucket/killed").wait(240) == 0
    assert start(str(tmp_path / "whole")).wait(240) == 0
    whole = (tmp_path / "whole" / "manifest.json").read_bytes()
    assert Folder.at(s3.uri("killed")).read_bytes("manifest.json") == whole
    assert json.loads(whole)["rows"] == rows
