"""Where decoding runs: on the nodes without a GPU, where the cluster has any beside those with one.

The CPUs of a GPU node are left to the training workers, which have to keep its GPUs busy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NODE_ID = "ray.io/node-id"
"""Label that Ray gives every node."""
MOST_DECODERS = 16
"""Decoding actors that a worker takes of its own accord."""


@dataclass(frozen=True)
class Placement:
    """Where a worker's decoders go, and how many there are."""

    decoders: int
    nodes: tuple[str, ...] = ()
    """Ids of the nodes to decode on; none: any."""
    cpus: int = 1
    """Logical CPUs that Ray keeps for each; 0 where it has too few: a worker whose decoders waited
    for a CPU that the other workers hold would wait for ever."""

    beside_steps: bool = True
    """Whether they share cores with the network, as they do where there is no GPU."""

    @property
    def options(self) -> dict[str, Any]:
        """The same in Ray's terms: these nodes, and others only where none of them can be had."""
        if not self.nodes:
            return {"num_cpus": self.cpus}
        names = f"in({','.join(self.nodes)})"
        others = [{"label_selector": {NODE_ID: f"!{names}"}}]
        return {
            "num_cpus": self.cpus, "label_selector": {NODE_ID: names}, "fallback_strategy": others,
        }  # fmt: skip


def place_decoders(
    nodes: Sequence[dict[str, Any]],
    *,
    world: int,
    wanted: int,
    cores_here: int,
    worker_cpus: float = 1,
    idle: float = math.inf,
) -> Placement:
    """Decide on one worker's decoders.

    Args:
        nodes: the cluster, as `ray.nodes()` lists it.
        world: number of training workers; each has decoders of its own.
        wanted: decoders asked for; 0 takes a worker's share of the CPUs that are free to decode.
        cores_here: cores of this machine; on a cluster of one node no more actors than that.
        worker_cpus: logical CPUs that Ray keeps for each worker.
        idle: logical CPUs that nobody holds at present.
    """
    alive = [node for node in nodes if node["Alive"]]
    plain = [n for n in alive if n["Resources"].get("CPU", 0) >= 1 and not _gpus(n)]
    apart = bool(plain) and any(_gpus(node) for node in alive)
    cpus = sum(node["Resources"].get("CPU", 0) for node in (plain if apart else alive))
    free = cpus if apart else cpus - world * worker_cpus
    most = MOST_DECODERS if apart else min(MOST_DECODERS, cores_here)
    decoders = wanted or int(max(1, min(most, free // world)))
    return Placement(
        decoders=decoders,
        nodes=tuple(sorted(node["NodeID"] for node in plain)) if apart else (),
        cpus=int(decoders * world <= free and decoders <= idle),
        beside_steps=not any(_gpus(node) for node in alive),
    )


def _gpus(node: dict[str, Any]) -> float:
    return float(node["Resources"].get("GPU", 0))
