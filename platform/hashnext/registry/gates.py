"""What must hold before an alias such as `champion` moves to another version of a model.

The package opens and verifies, its lineage says where it came from, and on the same transfer probe
it is not worse than the present holder by more than its own 95 % interval.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hashnext.errors import ConfigError, DataError, StateError
from hashnext.outputs import RESULT
from hashnext.registry.package import LINEAGE, ModelPackage
from hashnext.storage import Folder

LINEAGE_KEYS = ("dataset", "vocabulary", "git_commit")
UNKNOWN = (None, "", "unknown")


@dataclass(frozen=True, kw_only=True)
class TransferFigure:
    """Top-1 accuracy of one model on one transfer probe."""

    model: str
    """Fingerprint of the model package."""
    probe: str
    """Fingerprint of the probe's data and settings; two probes' figures do not compare."""
    top1: float
    """Share of the probe's test images whose first answer is right, 0 to 1."""
    low: float
    """Lower end of the 95 % interval of `top1`."""
    high: float
    """Upper end of the 95 % interval of `top1`."""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.top1 <= self.high <= 1:
            raise ConfigError(
                "transfer.top1",
                (self.low, self.top1, self.high),
                "must be 0 <= low <= top1 <= high <= 1",
            )

    @classmethod
    def read(cls, location: str) -> "TransferFigure":
        """The figure in the `--out` of `jobs.transfer`.

        Raises:
            DataError: the folder holds no finished transfer result.
        """
        folder = Folder.at(location)
        try:
            return cls.of(folder.read_json(RESULT)["transfer"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"--transfer {folder.location}: expected the finished --out of jobs.transfer, with "
                f"a {RESULT} whose `transfer` gives model, probe, top1, low, high ({error})"
            ) from error

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "TransferFigure":
        """From JSON or from the tags of a version, where numbers are text."""
        return cls(
            model=str(values["model"]), probe=str(values["probe"]),
            **{key: float(values[key]) for key in ("top1", "low", "high")},
        )  # fmt: skip

    def tags(self) -> dict[str, str]:
        """As tags of a registered version; `from_tags` reads them back."""
        return {f"transfer.{key}": str(value) for key, value in asdict(self).items()}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> "TransferFigure | None":
        """The figure that a registered version carries, if any."""
        prefix = "transfer."
        found = {key.removeprefix(prefix): v for key, v in tags.items() if key.startswith(prefix)}
        return cls.of(found) if found else None


def check_lineage(package: ModelPackage) -> None:
    """Refuse a package that does not say what it was made from.

    Raises:
        StateError: names the missing fields.
    """
    missing = [key for key in LINEAGE_KEYS if package.lineage.get(key) in UNKNOWN]
    if missing:
        raise StateError(
            f"promotion refused: {package.folder.location}/{LINEAGE}: "
            f"{', '.join(missing)} unknown; the alias stays where it is"
        )


def check_transfer(candidate: TransferFigure | None, holder: TransferFigure | None) -> None:
    """Refuse a candidate whose whole 95 % interval lies below the holder's figure.

    Figures of different probes, or a missing figure on either side, do not refuse.

    Raises:
        StateError: with both figures.
    """
    if candidate is None or holder is None or candidate.probe != holder.probe:
        return
    if candidate.high < holder.top1:
        raise StateError(
            f"promotion refused: transfer top-1 {candidate.top1:.4f} (95 % interval "
            f"{candidate.low:.4f} to {candidate.high:.4f}) is below the present holder's "
            f"{holder.top1:.4f} ({holder.low:.4f} to {holder.high:.4f}) on the same probe; "
            "the alias stays where it is"
        )
