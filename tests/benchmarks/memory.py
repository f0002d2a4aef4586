"""Memory and CPU time of this process and all that it has started, which Ray's processes are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hashnext.background import repeating

SAMPLE_EVERY_S = 0.1


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Highest `memory()` during the block, as the only item of a list."""
    peak = [memory()]

    def sample() -> None:
        peak[0] = max(peak[0], memory())

    with repeating(sample, SAMPLE_EVERY_S):
        yield peak


def memory() -> int:
    """Bytes held by this process and all below it, the object store counted once."""
    anonymous, shared = [], [0]
    for pid in _family():
        with suppress(OSError):  # gone meanwhile
            lines = (Path("/proc") / pid / "status").read_text().splitlines()
            fields = {key: value.split() for key, value in (line.split(":", 1) for line in lines)}
            anonymous.append(int(fields.get("RssAnon", ["0"])[0]) * 1024)
            shared.append(int(fields.get("RssShmem", ["0"])[0]) * 1024)
    return sum(anonymous) + max(shared)


def cpu_seconds() -> float:
    """CPU time that this process and all below it have had; of those that ended, if waited for."""
    ticks = 0
    for pid in _family():
        with suppress(OSError):  # gone meanwhile
            ticks += sum(map(int, _stat(pid)[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _family() -> list[str]:
    """Numbers of this process and all below it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            parents[path.name] = _stat(path.name)[1]
    return [pid for pid in parents if str(os.getpid()) in _line(pid, parents)]


def _stat(pid: str) -> list[str]:
    """Fields of /proc/PID/stat from the third, the state; the name before may hold anything."""
    return (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()


def _line(pid: str, parent: dict[str, str]) -> Iterator[str]:
    """A process, its parent, and so on."""
    while pid in parent:
        yield pid
        pid = parent[pid]
