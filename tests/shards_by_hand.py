"""Shards made in this process, without Ray, and a look whether a manifest fits its files."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from hashnext.images.decode import encode_jpeg
from hashnext.shards import records
from hashnext.shards.manifest import Manifest
from hashnext.shards.part import PartBuilder, PrepareConfig
from hashnext.shards.prepare import commit
from hashnext.shards.settle import settle
from hashnext.storage import Folder

CONFIG = PrepareConfig(size=32)


def smooth_posts(count: int, private: int = 5) -> list[dict[str, object]]:
    """Posts that show different smooth pictures; every `private`-th is private."""
    rng = np.random.default_rng(0)
    posts: list[dict[str, object]] = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        image = np.asarray(coarse.resize((64, 48), Image.Resampling.BICUBIC))
        posts.append({
            "post_id": f"post{number:03d}", "image": encode_jpeg(image), "image_uri": None,
            "problem": None,
            "hashtags": [f"tag{number:03d}"], "public": number % private != 0,
        })  # fmt: skip
    return posts


def copy_of(post: dict[str, object], post_id: str) -> dict[str, object]:
    """The same picture, posted once more."""
    return {**post, "post_id": post_id, "public": True}


def make_shards(
    folder: Path, posts: list[dict[str, object]], part_rows: int, config: PrepareConfig = CONFIG
) -> Folder:
    """What `jobs.prepare` makes of posts, `part_rows` of them in each part."""
    out = Folder.at(folder)
    starts = range(0, len(posts), part_rows)
    for part, start in enumerate(starts):
        builder = PartBuilder(config)
        rows = pa.Table.from_pylist(posts[start : start + part_rows])
        builder.add(rows, rows["image"].to_pylist())
        records.write(out, part, builder)
    settle(out, config, len(starts), (), ())
    manifest = commit(out, config, len(starts))
    out.write_json("result.json", {"settings": {}, **manifest.figures(), "seconds": 1.5})
    return out


def rows_of(shards: Folder) -> list[dict[str, object]]:
    """Every row of the shards, in order."""
    return [
        row
        for file in Manifest.read(shards).files
        for row in shards.read_table(file.name).to_pylist()
    ]


def assert_manifest_fits(shards: Folder) -> None:
    """The files that the manifest names are there and are what it says."""
    manifest = Manifest.read(shards)
    for file in manifest.files:
        data = shards.read_bytes(file.name)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)
        metadata = pq.ParquetFile(pa.BufferReader(data)).metadata
        groups = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        assert (metadata.num_rows, tuple(groups)) == (file.rows, file.row_groups)


def assert_whole(shards: Folder) -> None:
    """Every file beside the rows agrees with the manifest, and no other file lies there."""
    assert_manifest_fits(shards)
    manifest = Manifest.read(shards)
    document = shards.read_json("manifest.json")
    assert document["fingerprint"] == manifest.fingerprint
    assert document["rows"] == manifest.rows == len(rows_of(shards))
    quarantine = shards.read_table("quarantine.parquet")
    assert sum(manifest.quarantined.values()) == quarantine.num_rows
    assert manifest.input_posts == manifest.rows + quarantine.num_rows
    named = {file.name for file in manifest.files}
    assert {name for name in shards.names() if name.startswith("part-")} == named
    assert not [name for name in shards.names() if name.endswith(".tmp")]
    noted = [records.read(shards, part) for part in records.recorded(shards)]
    assert {record.file for record in noted if record.file.rows} == set(manifest.files)
    assert sum(len(record.quarantine) for record in noted) == quarantine.num_rows
    result = shards.read_json("result.json")
    assert {key: result[key] for key in manifest.figures()} == manifest.figures()


def everything_in(shards: Folder) -> bytes:
    """All that is written in a folder of shards: values of every Parquet file, bytes of others."""
    found = []
    for path in sorted(Path(shards.path).rglob("*")):
        if path.suffix == ".parquet":
            found.append(repr(pq.read_table(path).to_pydict()).encode())
        if path.is_file():
            found.append(path.read_bytes())
    return b"\n".join(found)


def contents(shards: Folder) -> dict[str, bytes]:
    """Bytes of every file by its name."""
    paths = sorted(path for path in Path(shards.path).rglob("*") if path.is_file())
    return {str(path.relative_to(shards.path)): path.read_bytes() for path in paths}


class Killed(BaseException):
    """Stands for a kill -9."""


def killed_at(step: int, act: Callable[[], object], *, leave_half: bool = False) -> bool:
    """Run `act` up to its write or delete number `step`; false when it ends.

    A write that is killed may leave half of its file aside.
    """
    done = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(folder: Folder, name: str, *data: Any) -> Any:
            nonlocal done
            if done == step:
                if data and leave_half:
                    original(folder, f"{name}.77.tmp", bytes(data[0])[: len(data[0]) // 2])
                raise Killed
            done += 1
            return original(folder, name, *data)

        return call

    with (
        patch.object(Folder, "write_bytes", counted(Folder.write_bytes)),
        patch.object(Folder, "delete", counted(Folder.delete)),
        patch("hashnext.shards.forget.PARTS_AT_ONCE", 1),
        patch("hashnext.shards.traces.PARTS_AT_ONCE", 1),
    ):
        try:
            act()
        except Killed:
            return True
    return False
