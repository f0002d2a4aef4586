"""Make a model package a version of a registered model and, if asked, give it an alias.

The alias moves only when the package verifies, its lineage is complete and, on the same transfer
probe, the present holder is not better. Registering the same package again finds its version.
"""

from dataclasses import dataclass
from typing import Any

from hashnext import cli, settings
from hashnext.registry import store, versions
from hashnext.registry.gates import TransferFigure
from hashnext.registry.package import ModelPackage


@dataclass(frozen=True, kw_only=True)
class Register:
    """What to register, and as what."""

    model: str
    """Folder or URI of the model package."""
    name: str
    """Name of the registered model, such as hashnext."""
    alias: str | None = None
    """Alias that shall point to this version, such as champion."""
    transfer: str | None = None
    """Finished --out of jobs.transfer for this very package; the promotion gate compares it."""

    def __post_init__(self) -> None:
        if self.alias is not None:
            versions.check_alias(self.alias)


def main(job: Register) -> dict[str, Any]:
    """Register, promote, print where it is."""
    package = ModelPackage.open(job.model)
    figure = TransferFigure.read(job.transfer) if job.transfer else None
    registered = versions.register(package, job.name, figure)
    result: dict[str, Any] = {
        "model": f"models:/{job.name}/{registered.version}",
        "new": registered.created,
        "fingerprint": package.fingerprint,
        "labels": package.vocabulary.num_labels,
        "store": store.shown(settings.tracking_uri()),
    }
    if figure:
        result["transfer top-1"] = f"{figure.top1:.4f} ({figure.low:.4f} to {figure.high:.4f})"
    if job.alias:
        held = versions.promote(job.name, job.alias, registered.version)
        result["alias"] = f"models:/{job.name}@{job.alias}"
        result["alias held before"] = held or "nothing"
    cli.print_table("register", result)
    return result


if __name__ == "__main__":
    cli.run(Register, main, __doc__)
