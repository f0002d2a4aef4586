"""A job's output folder: settings first, result last, so that half a job is never taken for whole.

`settings.json` is written before the work and says what the folder is for; `result.json` is
written after everything else and means that the folder is complete.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashnext.errors import StateError
from hashnext.storage import Folder

SETTINGS = "settings.json"
RESULT = "result.json"


@dataclass(frozen=True)
class JobFolder:
    """The `--out` of one job with one set of settings."""

    folder: Folder
    finished: bool
    """The same job with the same settings has already finished here."""

    @classmethod
    def claim(cls, out: str | Path, job: str, settings: dict[str, Any]) -> "JobFolder":
        """Claim `out` for a job, or recognise it as this very job's.

        Args:
            out: local path or URI.
            job: name of the job, such as "prepare".
            settings: flat or nested JSON-able settings; anything that changes the result.

        Raises:
            StateError: the folder holds other files, or belongs to a job with other settings; the
                message names the fields that differ. Or it cannot be read or written.
        """
        folder = Folder.at(out)
        try:
            _claim(folder, {"job": job, **flatten(settings)})
        except OSError as error:
            raise StateError(f"--out {folder.location}: cannot be used ({error})") from error
        return cls(folder, folder.has(RESULT))

    @property
    def path(self) -> Path:
        """Local path of the folder."""
        assert self.folder.is_local
        return Path(self.folder.path)

    def result(self) -> dict[str, Any]:
        """The result of the finished job."""
        return dict(self.folder.read_json(RESULT))

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Write `result.json` (settings and result) and return it; the folder is whole from now."""
        whole = {"settings": self.folder.read_json(SETTINGS), **result}
        self.folder.write_json(RESULT, whole)
        return whole


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`: one key per setting, named as on the command line."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value) if isinstance(value, Path) else value
    return flat


def _claim(folder: Folder, wanted: dict[str, Any]) -> None:
    names = [name for name in folder.names() if not name.endswith(".tmp")]  # of killed writers
    if names in ([], [SETTINGS]):  # nobody was here, or whoever claimed it has left nothing else
        folder.write_json(SETTINGS, wanted)
    elif SETTINGS in names:
        _check_same(folder, folder.read_json(SETTINGS), wanted)
    else:
        raise StateError(
            f"--out {folder.location}: holds files but no {SETTINGS}; name an empty or a new folder"
        )


def _check_same(folder: Folder, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    wanted = {key: list(v) if isinstance(v, tuple) else v for key, v in wanted.items()}
    differing = [
        f"{key} (there {found.get(key)!r}, now {wanted.get(key)!r})"
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]
    if differing:
        raise StateError(
            f"--out {folder.location}: made with other settings: {', '.join(differing)}; "
            "name another folder"
        )
