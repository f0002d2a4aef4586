"""Checkpoints: weights, optimiser, position and ledger of one moment, saved and loaded together.

A checkpoint is a folder of `state.pt` and `checksum.json`; the checksum is written last and is
verified on load, so that a truncated file is never taken for a state.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hashnext.errors import StateError
from hashnext.shards.ledger import Ledger

STATE = "state.pt"
CHECKSUM = "checksum.json"


@dataclass
class TrainingState:
    """Where a run stands."""

    images_seen: int
    ledger: Ledger
    skipped: dict[int, str] = field(default_factory=dict)
    """Row groups with samples that could not be read, and the error."""
    missing: dict[str, int] = field(default_factory=dict)
    """Posts of these samples: key in hexadecimal, and row group."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """All that a run needs to go on. Its draws are functions of the position, so there is no state
    of a random generator among it, and the schedule's is `images_seen`."""

    model: dict[str, Any]
    """Weights and batch-norm statistics by name, whole, on the CPU."""
    optimiser: dict[str, Any]
    """State by parameter name."""
    average: dict[str, Any] | None
    """Averaged weights, where the run keeps them."""
    state: TrainingState

    @property
    def evaluated(self) -> dict[str, Any]:
        """The weights that evaluation and package take."""
        return self.average or self.model


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into an existing folder.

    Raises:
        OSError: it could not be written.
    """
    state = checkpoint.state
    document = {
        "model": checkpoint.model, "optimiser": checkpoint.optimiser,
        "average": checkpoint.average, "images_seen": state.images_seen,
        "hashes": [str(value) for value in state.ledger.hashes],
        "counts": state.ledger.counts, "skipped": state.skipped,
        "missing": state.missing,
    }  # fmt: skip
    with (folder / STATE).open("wb") as stream:  # torch's own opening would hide a full disk
        torch.save(document, stream)
        stream.flush()
        os.fsync(stream.fileno())
    digest = {"sha256": _sha256(folder / STATE)}
    (folder / CHECKSUM).write_text(json.dumps(digest))


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        StateError: a file is missing or its checksum is wrong.
    """
    try:
        expected = json.loads((folder / CHECKSUM).read_text())["sha256"]
        found = _sha256(folder / STATE)
    except (OSError, ValueError, KeyError) as error:
        raise StateError(f"checkpoint {folder}: not whole ({error})") from error
    if found != expected:
        raise StateError(f"checkpoint {folder}: {STATE} has SHA-256 {found}, recorded {expected}")
    document = torch.load(folder / STATE, map_location="cpu", weights_only=True)
    ledger = Ledger([int(value) for value in document["hashes"]], document["counts"])
    state = TrainingState(document["images_seen"], ledger, document["skipped"], document["missing"])
    return Checkpoint(
        model=document["model"], optimiser=document["optimiser"], average=document["average"],
        state=state,
    )  # fmt: skip


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
