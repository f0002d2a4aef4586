"""What a folder of shards holds: files with checksums, counts by reason, one fingerprint.

`manifest.json` is written last: a folder without it is not a set of shards.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from hashnext.errors import DataError
from hashnext.storage import Folder

MANIFEST = "manifest.json"
QUARANTINE = "quarantine.parquet"
SCHEMA_VERSION = 1

SHARD_SCHEMA = pa.schema(
    [
        ("post_id", pa.string()),
        ("image", pa.binary()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("hashtags", pa.list_(pa.string())),
    ]
)
QUARANTINE_SCHEMA = pa.schema(
    [
        ("post_id", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class ShardFile:
    """One Parquet file of shards."""

    name: str
    rows: int
    bytes: int
    sha256: str
    row_groups: tuple[int, ...]
    """Rows of each row group, in file order."""


@dataclass(frozen=True)
class Manifest:
    """Contents of `manifest.json`."""

    settings: dict[str, Any]
    files: tuple[ShardFile, ...]
    input_posts: int
    """Posts that are shard rows or quarantine rows."""
    quarantined: dict[str, int]
    """Posts kept out, by reason."""

    @property
    def rows(self) -> int:
        """Posts in the shards."""
        return sum(file.rows for file in self.files)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the files' checksums: the same rows in the same files, and nothing else."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.name} {file.sha256}\n".encode())
        return digest.hexdigest()

    def figures(self) -> dict[str, Any]:
        """Counts and fingerprint, for the result of a job."""
        return {
            "counts": {
                "input_posts": self.input_posts,
                "shard_rows": self.rows,
                "quarantined": sum(self.quarantined.values()),
                **{f"quarantined_{reason}": n for reason, n in self.quarantined.items()},
            },
            "fingerprint": self.fingerprint,
            "bytes": sum(file.bytes for file in self.files),
            "files": len(self.files),
        }

    def row_groups(self) -> list[tuple[str, int, int]]:
        """(file name, row group, rows) of every unit of the stream, in canonical order."""
        return [
            (file.name, group, rows)
            for file in self.files
            for group, rows in enumerate(file.row_groups)
        ]

    def write(self, folder: Folder) -> None:
        """Commit the shards in `folder`."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "fingerprint": self.fingerprint,
            "rows": self.rows,
            **asdict(self),
        }
        folder.write_json(MANIFEST, document)

    @classmethod
    def read(cls, folder: Folder) -> "Manifest":
        """Read the manifest of a finished folder of shards.

        Raises:
            DataError: there is none, or it is of another schema version.
        """
        try:
            document = folder.read_json(MANIFEST)
        except FileNotFoundError as error:
            raise DataError(
                f"shards {folder.location}: no {MANIFEST}; jobs.prepare has not finished there"
            ) from error
        if document.get("schema_version") != SCHEMA_VERSION:
            raise DataError(
                f"shards {folder.location}: schema version {document.get('schema_version')!r}, "
                f"this release reads {SCHEMA_VERSION}"
            )
        files = tuple(
            ShardFile(**{**file, "row_groups": tuple(file["row_groups"])})
            for file in document["files"]
        )
        return cls(document["settings"], files, document["input_posts"], document["quarantined"])
