"""`training.loop.Surroundings` inside a worker of Ray Train."""

import errno
import os
import shutil
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import ray
import ray.train
import ray.train.torch
import torch
from pyarrow import fs
from ray.train import Checkpoint
from ray.train.v2.api.report_config import CheckpointUploadMode
from torch import distributed

from hashnext import settings
from hashnext.errors import StateError
from hashnext.training import checkpoint
from hashnext.training.best import BEST
from hashnext.training.heartbeat import Heartbeat
from hashnext.training.loop import Metrics, Wish, Write

T = TypeVar("T")
NOTICE_S = 2.0
"""After so many seconds the workers ask together, before a step, whether a node is about to go."""


@dataclass
class RaySurroundings:
    """What Ray Train offers the loop."""

    board: Any
    heartbeat: Heartbeat
    rank: int
    world: int
    neighbours: int
    threads: int
    looked: float = field(default_factory=time.monotonic)
    """When this worker last asked whether a node is about to go."""
    look: bool = False
    """All workers have agreed to ask before the next step."""
    going: set[str] = field(default_factory=set)
    """Nodes that have given notice and have been saved for."""
    told: Any = None
    """What the board will answer."""
    ending: bool = False
    """The driver was asked to end."""

    @classmethod
    def here(cls, board: Any, heartbeat: Heartbeat) -> "RaySurroundings":
        """Those of the worker that asks."""
        context = ray.train.get_context()
        neighbours = context.get_local_world_size()
        return cls(
            board=board, heartbeat=heartbeat, rank=context.get_world_rank(),
            world=context.get_world_size(), neighbours=neighbours,
            threads=max(1, settings.cores() // neighbours),
        )  # fmt: skip

    def totals(self, *values: float) -> list[float]:
        """Sum of each value over all workers; in passing, they agree on when to look for notices.

        One whose clock says that it is time is enough, so that slow steps miss none.
        """
        *sums, due = self._summed(*values, float(time.monotonic() - self.looked >= NOTICE_S))
        self.look = self.look or due > 0
        return sums

    def _summed(self, *values: float) -> list[float]:
        if self.world == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=ray.train.torch.get_device())
        distributed.all_reduce(tensor)
        return tensor.tolist()

    def gather(self, value: T) -> list[T]:
        """Every worker's value, in the order of ranks."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def report(self, metrics: Metrics, write: Write | None) -> bool:
        """A barrier: every worker reports, the first one's metrics and checkpoint count.

        The checkpoint is uploaded while training goes on.
        """
        if write is None or self.rank > 0:
            ray.train.report(metrics)
            return True
        folder = tempfile.mkdtemp()
        try:
            write(Path(folder))
            require_room(Path(folder), out_folder())
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            where = f"at image {metrics['images_seen']:,}"
            self.say(f"warning: no checkpoint {where}: {error}")
            ray.train.report(metrics)
            return False
        ray.train.report(
            metrics, checkpoint=Checkpoint.from_directory(folder),
            checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
            delete_local_checkpoint_after_upload=True,
        )  # fmt: skip
        return True

    def keeping(self) -> AbstractContextManager[None]:
        """While the block runs, this process has the time of a checkpoint."""
        return self.heartbeat.waiting()

    def progress(self, images_seen: int, note: str) -> None:
        """Tell the driver; it is not waited for."""
        self.heartbeat.beat()
        if self.rank == 0:
            self.told = self.board.update.remote(images_seen, note)

    def say(self, text: str) -> None:
        """Have the driver print a line."""
        self.board.say.remote(text)

    def wish(self) -> Wish:
        """Stop if the driver was asked to; keep a checkpoint once if a node is about to go."""
        leaving = self._notice()  # first of all: those who look wait for each other
        if self._asked():
            return Wish.STOP
        return Wish.SAVE if leaving else Wish.GO_ON

    def _notice(self) -> bool:
        """Whether a node gives notice for the first time, where it was agreed to look."""
        if not self.look:
            return False
        self.look, self.looked = False, time.monotonic()
        notice = ray.train.get_preemption_info()
        if notice is None or self.going.issuperset(notice.preempted_node_ids):
            return False
        self.going.update(notice.preempted_node_ids)
        return True

    def stopping(self) -> bool:
        """True once this worker knows that the driver was asked to end; nobody is waited for."""
        if self.rank > 0 and self.told is None:  # the first one asks with its progress
            self.told = self.board.asked.remote()
        return self._asked()

    def _asked(self) -> bool:
        if self.told is not None and ray.wait([self.told], timeout=0)[0]:
            self.ending, self.told = self.ending or ray.get(self.told), None
        return self.ending

    def watched(self) -> AbstractContextManager[None]:
        """While the block runs, end this process if it makes no progress."""
        return self.heartbeat.watched()

    def latest(self) -> checkpoint.Checkpoint | None:
        """The latest whole checkpoint; None where the run has none yet.

        Raises:
            StateError: there are checkpoints, and all of them are broken.
        """
        newest = ray.train.get_checkpoint()
        if newest is None:
            return None
        known = [newest, *_older(newest)]
        place, loaded = self._first_whole(known, 0)
        agreed = max(self.gather(place))  # one may fail to read what the others can
        if agreed > place:
            place, loaded = self._first_whole(known, agreed)
        if len({*self.gather(place)}) > 1 or loaded is None:
            raise StateError(f"{newest.path}: neither this checkpoint nor any before it is whole")
        return loaded

    def _first_whole(
        self, known: list[Checkpoint], place: int
    ) -> tuple[int, checkpoint.Checkpoint | None]:
        """The first checkpoint from `place` on that can be read, and its place; or none."""
        for number, found in enumerate(known[place:], place):
            try:
                with found.as_directory() as folder:
                    return number, checkpoint.load(Path(folder))
            except StateError as error:
                if self.rank == 0:
                    self.say(f"warning: {error}; taking the one before")
        return len(known), None


def _older(newest: Checkpoint) -> list[Checkpoint]:
    """The other checkpoints of the run, latest first, as their names tell; the best one last."""
    folder = newest.path.rstrip("/").rpartition("/")[0]
    assert newest.filesystem is not None
    found = newest.filesystem.get_file_info(fs.FileSelector(folder))
    paths = sorted(info.path for info in found if info.base_name.startswith("checkpoint_2"))
    best = [info.path for info in found if info.base_name == BEST]
    own = newest.path.rstrip("/")
    others = [*reversed(paths), *best]
    return [Checkpoint(path, newest.filesystem) for path in others if path != own]


def out_folder() -> Path | None:
    """Where checkpoints go if that is a file system; None for an object store."""
    storage = ray.train.get_context().get_storage()
    local = isinstance(storage.storage_filesystem, fs.LocalFileSystem)
    return Path(storage.storage_fs_path) if local else None


def require_room(folder: Path, out: Path | None) -> None:
    """Refuse to copy a folder of files to where it does not fit.

    Ray Train would end all workers when the copy fails, in the background.

    Raises:
        OSError: too little room in `out`; None is never full.
    """
    if out is None:
        return
    needed = sum(file.stat().st_size for file in folder.iterdir())
    total, _, free = shutil.disk_usage(out)
    if total and needed > free:  # some file systems do not tell
        what = f"{needed / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {what}", str(out))
