"""Rebuild the noun lexicon that the package ships, from WordNet 3.0 as NLTK lays it out."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashnext import cli, progress
from hashnext.errors import ConfigError
from hashnext.hashtags import lexicon_build
from hashnext.outputs import JobFolder


@dataclass(frozen=True, kw_only=True)
class LexiconJob:
    """Arguments of `uv run -m jobs.lexicon`."""

    wordnet: Path
    """Folder of NLTK data that holds corpora/wordnet or corpora/wordnet.zip."""
    out: str
    """Folder for the tables; copy them to platform/hashnext/hashtags/data to ship them."""
    ilsvrc: Path | None = None
    """Text file of the 1,000 ILSVRC synset ids, one per line: checked and sorted into the out."""


def main(job: LexiconJob) -> dict[str, Any]:
    """Build the tables, write them, return the result."""
    wordnet = lexicon_build.open_wordnet(job.wordnet)
    output = JobFolder.claim(job.out, "lexicon", {"wordnet": job.wordnet, "ilsvrc": job.ilsvrc})
    if output.finished:
        print(f"{output.folder.location}: already finished")
        return output.result()
    started = time.monotonic()
    with progress.meter("lexicon", 3, "tables") as meter:
        tables = lexicon_build.build_tables(wordnet)
        meter.update(3)
    sizes = {name: len(output.folder.write_table(name, table)) for name, table in tables.items()}
    output.folder.write_bytes("LICENSE.wordnet.txt", wordnet.license().encode())
    if job.ilsvrc:
        known = set(tables[lexicon_build.NOUNS]["wnid"].to_pylist())
        lines = "\n".join(_checked_ids(job.ilsvrc, known)) + "\n"
        output.folder.write_bytes(lexicon_build.ILSVRC, lines.encode())
    result = {
        "rows": {name: table.num_rows for name, table in tables.items()},
        "bytes": sizes,
        "seconds": round(time.monotonic() - started, 1),
    }
    cli.print_table("lexicon", result["rows"] | {"seconds": result["seconds"]})  # type: ignore[operator]
    return output.finish(result)


def _checked_ids(path: Path, known: set[str]) -> list[str]:
    ids = path.read_text().split()
    if unknown := sorted(set(ids) - known):
        raise ConfigError("ilsvrc", str(path), f"not noun synsets of WordNet 3.0: {unknown[:3]}")
    return sorted(ids)


if __name__ == "__main__":
    cli.run(LexiconJob, main, __doc__)
