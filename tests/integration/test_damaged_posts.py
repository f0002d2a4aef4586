"""A source that breaks while it is read: one line, status 2, and nothing that looks whole."""

import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def damaged(path: Path) -> Path:
    """Parquet posts with a sound footer and rubbish in the middle."""
    table = pa.table({
        "post_id": [f"p{i}" for i in range(2000)], "public": [True] * 2000,
        "hashtags": [[f"tag{i}", f"dog{i}"] for i in range(2000)],
    })  # fmt: skip
    pq.write_table(table, path)
    data = bytearray(path.read_bytes())
    middle = range(len(data) // 4, len(data) // 2)
    data[middle.start : middle.stop] = random.Random(0).randbytes(len(middle))
    path.write_bytes(data)
    return path


def test_the_message_comes_out_of_the_ray_task(tmp_path: Path) -> None:
    posts = damaged(tmp_path / "posts.parquet")
    command = [sys.executable, "-m", "jobs.vocabulary", "--posts", str(posts), "--out"]
    done = subprocess.run([*command, str(tmp_path / "v")], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: {posts}: cannot be read as Parquet")
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "v").iterdir()] == ["settings.json"]
