"""Where the workers of a run write how far they are, and the driver what it wants of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hashnext.background import repeating
from hashnext.progress import Meter
from hashnext.storage import Folder

POLL_S = 0.5
PROGRESS = "progress.json"
"""How far all attempts have come together; rewritten while a run is watched."""


@ray.remote(num_cpus=0)
class Board:
    """An actor beside the run; outlives its workers."""

    def __init__(self, trained: int) -> None:
        self.state, self.trained = (0, ""), trained
        self.stopping, self.news = False, list[str]()

    def update(self, done: int, note: str) -> bool:
        """Overwrite the progress; an attempt begins with where it starts. True: please stop."""
        if note:
            self.trained += done - self.state[0]
        self.state = (done, note)
        return self.stopping

    def say(self, text: str) -> None:
        """Have the driver print a line."""
        self.news.append(text)

    def asked(self) -> bool:
        """True: please stop."""
        return self.stopping

    def stop(self) -> None:
        """Ask the workers to keep a checkpoint and end."""
        self.stopping = True

    def read(self) -> tuple[int, str, int, list[str]]:
        """Images seen, what is said of them, images trained on by all attempts together, and the
        lines to print since the last reading."""
        news, self.news = self.news, []
        return (*self.state, self.trained, news)


def open_board(out: Folder) -> Any:
    """A board for the run in `out`, on the driver's own node: it must not go with a worker's."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = Board.options(scheduling_strategy=here)  # type: ignore[attr-defined]
    return actor.remote(trained_before(out))


def trained_before(out: Folder) -> int:
    """Images that the attempts so far have trained on, as far as they were watched."""
    try:
        return int(out.read_json(PROGRESS)["images_trained"])
    except FileNotFoundError:
        return 0


@contextmanager
def watching(board: Any, meter: Meter, out: Folder, stop: threading.Event) -> Iterator[None]:
    """While the block runs, copy the board to the meter and to `out`; hand on a wish to stop."""
    written = -1

    def copy() -> None:
        nonlocal written
        if stop.is_set():
            ray.get(board.stop.remote())
        images, note, trained, news = ray.get(board.read.remote())
        meter.update(images, note)
        for text in news:
            print(text, flush=True)
        if trained != written:
            out.write_json(PROGRESS, {"images_trained": trained})
            written = trained

    try:
        with repeating(copy, POLL_S):
            yield
    finally:
        with suppress(RayError):  # Ray is gone: why, the block says
            copy()
