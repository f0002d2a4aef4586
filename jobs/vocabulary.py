"""Decide which hashtags become labels: count them, match them to nouns, keep what a picture shows.

Writes labels.parquet, decisions.parquet (every hashtag with the reason) and vocabulary.json.
"""

import time
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hashnext import cli, cluster, progress
from hashnext.hashtags.build import build_vocabulary
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.reasons import kind
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.outputs import JobFolder
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Columns


@dataclass(frozen=True, kw_only=True)
class VocabularyJob(VocabularyConfig):
    """Arguments of `uv run -m jobs.vocabulary`."""

    posts: str
    """Parquet, JSONL or WebDataset posts, or a folder of shards; local or a URI."""
    out: str
    """Folder for the vocabulary; local or a URI."""
    columns: Columns = field(default_factory=Columns)
    """What the fields of a post are called in the source."""
    assume_public: bool = False
    """Take posts for public where no column says so."""

    def config(self) -> VocabularyConfig:
        """The vocabulary's own settings."""
        settings = {field.name: getattr(self, field.name) for field in fields(VocabularyConfig)}
        return VocabularyConfig(**settings)


def main(job: VocabularyJob) -> dict[str, Any]:
    """Build the vocabulary, write it, return the result."""
    source = PostSource.open(job.posts, job.columns, job.assume_public)
    source.require("post_id", "hashtags")
    config = job.config()
    settings = {"posts": job.posts, "source": source.fingerprint, **asdict(config)}
    output = JobFolder.claim(job.out, "vocabulary", settings)
    if output.finished:
        print(f"{output.folder.location}: already finished")
        return _shown(output.result())
    started = time.monotonic()
    clock = progress.Stopwatch()
    with cluster.session(), progress.meter("vocabulary", 0, "labels") as meter:
        cluster.require_shared_locations(posts=job.posts, out=job.out)
        vocabulary = build_vocabulary(source, config, clock)
        meter.update(vocabulary.num_labels)
    vocabulary.save(output.folder)
    figures = summary(vocabulary) | {
        "seconds_by_stage": {stage: round(seconds, 2) for stage, seconds in clock.seconds.items()},
        "seconds": round(time.monotonic() - started, 1),
    }
    return _shown(output.finish(figures))


def summary(vocabulary: Vocabulary) -> dict[str, Any]:
    """Counts of a vocabulary: labels, posts, coverage, hashtags by rule and by reason."""
    decisions = vocabulary.decisions.to_pylist()
    named = [row for row in decisions if row["label_id"] is not None]
    occurrences = sum(row["posts"] for row in decisions)
    posts = vocabulary.meta["posts"]
    return {
        "labels": vocabulary.num_labels,
        "hashtags": len(decisions),
        "hashtags_with_label": len(named),
        "posts": posts,
        "posts_with_label": vocabulary.meta["labelled"],
        "share_of_posts_with_label": vocabulary.meta["labelled"] / posts,
        "share_of_occurrences_with_label": sum(row["posts"] for row in named) / occurrences,
        "by_rule": _tally(row["rule"] for row in named),
        "by_reason": _tally(kind(row["reason"]) for row in decisions),
        "fingerprint": vocabulary.fingerprint,
    }


def _tally(values: Any) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _shown(result: dict[str, Any]) -> dict[str, Any]:
    skipped = ("settings", "by_rule", "by_reason", "fingerprint")
    stages = ", ".join(f"{stage} {s:.1f}" for stage, s in result["seconds_by_stage"].items())
    shown = {k: v for k, v in result.items() if k not in skipped} | {"seconds_by_stage": stages}
    cli.print_table("vocabulary", shown)
    return result


if __name__ == "__main__":
    cli.run(VocabularyJob, main, __doc__)
