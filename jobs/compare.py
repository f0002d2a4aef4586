"""Compare two vocabularies: labels added, lost, merged and split; posts gained and lost.

Writes result.json, labels.parquet (one row a label) and hashtags.parquet (every hashtag whose label
changed).
"""

from dataclasses import dataclass
from typing import Any

import tyro

from hashnext import cli
from hashnext.errors import ConfigError
from hashnext.hashtags.comparison import report
from hashnext.hashtags.comparison.compare import Comparison, compare
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.outputs import JobFolder
from hashnext.storage import absolute

LABELS = "labels.parquet"
HASHTAGS = "hashtags.parquet"


@dataclass(frozen=True, kw_only=True)
class CompareJob:
    """Arguments of `uv run -m jobs.compare`."""

    vocabulary: tyro.conf.UseAppendAction[tuple[str, ...]]
    """Folder of a vocabulary, local or a URI; given twice, the one before and the one after."""
    out: str
    """Folder of the result, new or this job's own."""

    def __post_init__(self) -> None:
        if len(self.vocabulary) != 2:
            raise ConfigError(
                "vocabulary", self.vocabulary,
                "exactly two, as in --vocabulary BEFORE --vocabulary AFTER",
            )  # fmt: skip


def main(job: CompareJob) -> dict[str, Any]:
    """Compare, write the tables, print the biggest changes, return the result."""
    before, after = (Vocabulary.load(location) for location in job.vocabulary)
    output = JobFolder.claim(job.out, "compare", _settings(job, before, after))
    if output.finished:
        print(f"{output.folder.location}: finished before with these settings; nothing to do")
    else:
        comparison = compare(before, after)
        output.folder.write_table(LABELS, comparison.labels)
        output.folder.write_table(HASHTAGS, comparison.hashtags)
        output.finish(comparison.figures)
    return _shown(output)


def _settings(job: CompareJob, before: Vocabulary, after: Vocabulary) -> dict[str, Any]:
    one, other = map(absolute, job.vocabulary)
    return {
        "before": {"vocabulary": one, "fingerprint": before.fingerprint},
        "after": {"vocabulary": other, "fingerprint": after.fingerprint},
    }


def _shown(output: JobFolder) -> dict[str, Any]:
    """Print what the folder holds and return the result."""
    result = output.result()
    labels, hashtags = (output.folder.read_table(name) for name in (LABELS, HASHTAGS))
    for side in ("before", "after"):
        print(f"{side}: {result['settings'][f'{side}.vocabulary']}")
    report.show(Comparison(labels=labels, hashtags=hashtags, figures=result))
    print(f"every label and hashtag: {output.folder.location}")
    return result


if __name__ == "__main__":
    cli.run(CompareJob, main, __doc__)
