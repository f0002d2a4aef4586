"""The workers of a run: how many, what each gets, and what happens when they fail."""

from dataclasses import dataclass, field

from hashnext.errors import ConfigError
from hashnext.training.heartbeat import KEEP_S, START_S, Heartbeat
from hashnext.training.parallel import ParallelConfig


@dataclass(frozen=True, kw_only=True)
class WorkersConfig:
    """Changes a run's speed, not what it computes: the batch is the global one, whatever the number
    of workers, and with it the learning rate. (Batch norm sees a worker's share at a time.)"""

    num_workers: int = 1
    """Training workers; each takes one GPU where the cluster has any."""
    min_workers: int | None = None
    """Go on with as few as these where the cluster has no room for more, and grow again when it
    has; None waits for all of them."""
    cpus: float = 1
    """Logical CPUs of each worker; decoding has its own."""
    max_failures: int = 3
    """Restarts from the latest checkpoint after a worker is lost; loss of a node that gave notice
    is not counted."""
    keep_checkpoints: int = 2
    """Latest checkpoints kept, beside that of the lowest loss."""
    stall_s: float = 90
    """A worker that makes no step for so many seconds, or does not answer Ray, is ended, and all
    are restarted from the latest checkpoint."""
    start_s: float = START_S
    """The same for an attempt's first step, for which loaders start. Compiling does not count and
    may take 300 s. Raise it where nodes for decoding have to be started first, or where a network
    that takes long to compile meets some nodes that have compiled it before."""
    keep_s: float = KEEP_S
    """The same for collecting and writing a checkpoint."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """How the network lies on the devices."""

    def __post_init__(self) -> None:
        if self.num_workers < 1:
            raise ConfigError("workers.num-workers", self.num_workers, "must be at least 1")
        if not 1 <= self.least <= self.num_workers:
            raise ConfigError(
                "workers.min-workers", self.min_workers, f"must lie in 1..{self.num_workers}"
            )
        if self.cpus <= 0:
            raise ConfigError("workers.cpus", self.cpus, "must be positive")
        if self.keep_checkpoints < 1:
            raise ConfigError("workers.keep-checkpoints", self.keep_checkpoints, "at least 1")
        for key in ("stall_s", "start_s", "keep_s"):
            if getattr(self, key) <= 0:
                name = f"workers.{key.replace('_', '-')}"
                raise ConfigError(name, getattr(self, key), "must be positive")

    def heartbeat(self) -> Heartbeat:
        """What ends a worker that stands still."""
        return Heartbeat(self.stall_s, self.start_s, self.keep_s)

    @property
    def least(self) -> int:
        """Workers that a run starts with at least."""
        return self.num_workers if self.min_workers is None else self.min_workers
