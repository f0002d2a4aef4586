"""A run on a cluster of three nodes, two of which it loses; test_faults starts this program.

    python -m lose_nodes SHARDS VOCABULARY OUT

The third node is lost at once, after a checkpoint. The second one gives notice, and is lost when
Ray Train knows of the checkpoint that the notice is answered with. After one checkpoint more the
run, which would go on for long, is told to end. `told.json` in OUT says how it went.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import ray
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason
from test_faults import checkpoint_results, small_plan

from hashnext.errors import Terminated
from hashnext.registry.store import RunLogger
from hashnext.storage import Folder
from hashnext.training import checkpoint
from hashnext.training.ray_trainer import fit
from hashnext.training.workers import WorkersConfig

NOTICE_S = 60
IMAGES = 100_000
"""More than the drill takes on any machine."""
CHECKPOINT_IMAGES = 50 * 32
"""So many batches that the one after which a notice is answered is hardly ever among them: that
checkpoint is told from the others by its images."""


@dataclass
class Drill:
    """Loses the nodes of a run, and is told how far the run is."""

    cluster: Cluster
    out: Path
    kept: int | None = None
    """Images seen at the checkpoint that the notice was answered with."""
    after: list[int] = field(default_factory=list)
    """Images seen, as told after the node that gave notice was lost."""

    def update(self, done: int, note: str = "") -> None:
        """What a run tells its meter."""
        if self.kept is not None:
            self.after.append(done)

    def run(self) -> None:
        """Lose a node, then the other one, then end the run."""
        second, third = self.cluster.worker_nodes
        self._checkpoint(lambda images: True)
        self.cluster.remove_node(third, allow_graceful=False)
        self._checkpoint(lambda images: True)
        self._give_notice(second.node_id)
        kept = self._checkpoint(lambda images: images % CHECKPOINT_IMAGES > 0)
        self.cluster.remove_node(second, allow_graceful=False)
        self.kept = kept
        self._checkpoint(lambda images: True)
        os.kill(os.getpid(), signal.SIGTERM)

    def _give_notice(self, node: str) -> None:
        deadline_ms = int(1000 * (time.time() + NOTICE_S))
        reason = DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
        GcsClient(self.cluster.address).drain_node(node, reason, "a drill", deadline_ms)

    def _checkpoint(self, wanted: Callable[[int], bool]) -> int:
        """Wait for a new checkpoint with such a number of images seen."""
        before = self._images_kept()
        while not (found := [*filter(wanted, self._images_kept() - before)]):
            time.sleep(0.1)
        return max(found)

    def _images_kept(self) -> set[int]:
        return {int(result["metrics"]["images_seen"]) for result in checkpoint_results(self.out)}


def main(shards: str, vocabulary: str, out: Path) -> None:
    """Start the cluster, run the drill, tell."""
    head = {"num_cpus": 3, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    drill = Drill(cluster, out)
    threading.Thread(target=drill.run, daemon=True).start()
    logger = RunLogger()
    logger.open("nodes", "nodes", {}, {})
    workers = WorkersConfig(num_workers=3, min_workers=1, cpus=2, keep_checkpoints=1000)
    run = small_plan(shards, vocabulary, IMAGES, CHECKPOINT_IMAGES).run
    with pytest.raises(Terminated):
        fit(run, Folder.at(out), workers, logger, drill)
    newest = max(result["checkpoint_dir_name"] for result in checkpoint_results(out))
    state = checkpoint.load(out / "run" / newest).state
    told = {
        "images_seen": state.images_seen,
        "ledger": state.ledger.digest,
        "nodes": sum(node["Alive"] for node in ray.nodes()),
        "kept_at_the_notice": drill.kept,
        "continued_from": min(drill.after),
    }
    (out / "told.json").write_text(json.dumps(told))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:3], Path(sys.argv[3]))
