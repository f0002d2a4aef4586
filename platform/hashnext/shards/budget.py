"""The error budget: how many posts of a source may be bad before preparing it stops.

A post is bad when its image cannot be fetched or decoded, when its id was met before, or when its
row in the source is no post. Private posts are never looked at, so they count neither as bad nor
among the posts; copies are sound.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from textwrap import shorten

from hashnext.errors import ConfigError, DataError
from hashnext.shards.records import Record

BAD_STAGES = frozenset(["read", "fetch", "decode", "identity"])
UNSEEN_STAGES = frozenset(["gate"])
MIN_POSTS = 1000
"""Public posts before which nothing is stopped: a few bad ones at the start prove nothing."""
EXAMPLES = 3
"""Posts named for each reason."""
DETAIL = 120
"""Characters of the detail told of each."""


@dataclass
class Tally:
    """Public posts met so far, and the bad ones among them by reason."""

    posts: int = 0
    """All posts, private ones too."""
    public: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    examples: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, record: Record) -> None:
        """Count the posts of one part."""
        self.posts += record.posts
        self.public += record.posts
        for rejection in record.quarantine:
            self.public -= rejection.stage in UNSEEN_STAGES
            if rejection.stage in BAD_STAGES:
                self.bad[rejection.reason] += 1
                if len(self.examples[rejection.reason]) < EXAMPLES:
                    example = f"{rejection.post_id} ({shorten(rejection.detail, DETAIL)})"
                    self.examples[rejection.reason].append(example)

    def reasons(self) -> str:
        """Counts and examples, the commonest reason first."""
        return "; ".join(
            f"{count:,} {reason}, such as {', '.join(self.examples[reason])}"
            for reason, count in self.bad.most_common()
        )


@dataclass(frozen=True, kw_only=True)
class ErrorBudget:
    """How much may be bad."""

    max_bad_fraction: float = 0.2
    """Largest share of bad posts. Of an old crawl a tenth may be gone; where a credential, a path
    or a column is wrong, nearly everything is bad. A fifth lies between the two."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_bad_fraction <= 1:
            raise ConfigError("max-bad-fraction", self.max_bad_fraction, "must lie in 0..1")

    def check(self, tally: Tally, *, complete: bool) -> None:
        """Stop a source that has used it up.

        Args:
            tally: posts met so far.
            complete: whether these are all; before, at least MIN_POSTS must have been met.

        Raises:
            DataError: more posts are bad than may be; names counts, reasons and examples.
        """
        bad = tally.bad.total()
        if bad <= self.max_bad_fraction * tally.public:
            return
        if complete or tally.public >= MIN_POSTS:
            so_far = "" if complete else " so far"
            raise DataError(
                f"{bad:,} of {tally.public:,} public posts{so_far} are bad, more than "
                f"--max-bad-fraction {self.max_bad_fraction:g} of jobs.prepare allows: "
                f"{tally.reasons()}. Finished parts are kept: the same command with a larger "
                "--max-bad-fraction continues; once the source is mended, name another --out"
            )
