"""How much memory a worker may take: of its GPU, or of the machine or container that it runs in."""

import os
from contextlib import suppress
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")


def device_memory(device: torch.device, workers_here: int, again: bool = False) -> int:
    """Bytes for one of the node's workers: of its GPU, or its share of the node's.

    Args:
        device: the worker's.
        workers_here: on this node.
        again: the run goes on after a failure, and what the attempt before held may not have been
            given back yet: all memory counts, not what is free.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total if again else free + torch.cuda.memory_reserved(device)
    return (_node_memory if again else _free_memory)() // workers_here


def _node_memory() -> int:
    """Bytes of this machine, or of the container that we run in."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # no cgroups of version 2, or no limit
        return min(whole, int((CGROUP / "memory.max").read_text()))
    return whole


def _free_memory() -> int:
    """Bytes that they have left; all where that is unknown."""
    found = [_node_memory()]
    with suppress(OSError, KeyError):  # not Linux
        found.append(1024 * _table(Path("/proc/meminfo"))["MemAvailable:"])
    with suppress(OSError, KeyError, ValueError):  # no cgroups of version 2, or no limit
        limit, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        found.append(limit - used + _table(CGROUP / "memory.stat")["inactive_file"])
    return min(found)


def _table(path: Path) -> dict[str, int]:
    """First number of each line of a file, by the line's first word."""
    return {line.split()[0]: int(line.split()[1]) for line in path.read_text().splitlines()}
