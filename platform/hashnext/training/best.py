"""The checkpoint of the lowest loss, kept beside the latest ones, which Ray Train keeps."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import fs
from ray.train import Checkpoint
from ray.train.v2.api.callback import UserCallback

BEST = "best"
"""Its folder, beside the others."""
RECORD = "best.json"


@dataclass
class KeepBest(UserCallback):
    """Copies a checkpoint that has a lower loss than any before; Ray calls it in the controller.

    Ray's own ranking by a metric would drop the latest but one for a better and older one, and a
    run whose last checkpoint is broken would fall far back.
    """

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None
    ) -> None:
        """Keep the checkpoint if it is the best; one that cannot be copied is done without."""
        if checkpoint is None:
            return
        files, path = checkpoint.filesystem, checkpoint.path.rstrip("/")
        best = f"{path.rpartition('/')[0]}/{BEST}"
        record = {name: metrics[0][name] for name in ("loss", "images_seen")}
        with suppress(OSError):
            if record["loss"] < lowest(files, best):
                _replace(files, path, best, record)


def lowest(files: fs.FileSystem, best: str) -> float:
    """Loss of the checkpoint kept in a folder; infinite where there is none."""
    try:
        with files.open_input_stream(f"{best}/{RECORD}") as stream:
            return float(json.loads(stream.read())["loss"])
    except FileNotFoundError:
        return float("inf")


def _replace(files: fs.FileSystem, path: str, best: str, record: dict[str, float]) -> None:
    """The record is written last: without it the folder counts for nothing.

    On a disk the folder is written aside, so that a full one loses nothing; object stores, which
    cannot rename, copy without moving the bytes.
    """
    local = isinstance(files, fs.LocalFileSystem)
    target = f"{best}.tmp" if local else best
    files.create_dir(target)
    files.delete_dir_contents(target)
    for info in files.get_file_info(fs.FileSelector(path)):
        _copy(files, info.path, f"{target}/{info.base_name}")
    with files.open_output_stream(f"{target}/{RECORD}") as stream:
        stream.write(json.dumps(record).encode())
    if local:
        shutil.rmtree(best, ignore_errors=True)
        files.move(target, best)


def _copy(files: fs.FileSystem, source: str, target: str) -> None:
    """On a disk of this machine, a second name of the same file, which takes no room."""
    if isinstance(files, fs.LocalFileSystem):
        with suppress(OSError):  # no such thing on this file system
            os.link(Path(source), Path(target))
            return
    files.copy_file(source, target)
