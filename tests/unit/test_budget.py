"""The error budget: what counts as bad, from when, and what is said."""

import pytest

from hashnext.errors import ConfigError, DataError
from hashnext.shards.budget import MIN_POSTS, ErrorBudget, Tally
from hashnext.shards.manifest import ShardFile
from hashnext.shards.part import Rejection
from hashnext.shards.records import Record


def tally(kept: int, **rejected: tuple[str, int]) -> Tally:
    """Kept posts, and for each reason its stage and a number of posts."""
    quarantine = [
        Rejection(f"{reason}{number}", stage, reason, "why")
        for reason, (stage, count) in rejected.items()
        for number in range(count)
    ]
    found = Tally()
    found.add(Record(ShardFile("part", kept, 1, "", (kept,)), tuple(quarantine), settled=True))
    return found


def test_private_posts_and_copies_are_not_bad() -> None:
    found = tally(
        10, private=("gate", 1000), exact_duplicate=("duplicates", 70), missing=("fetch", 10),
        truncated=("decode", 6), repeated_post_id=("identity", 4),
    )  # fmt: skip
    assert found.posts == 1100
    assert found.public == 100
    ErrorBudget(max_bad_fraction=0.2).check(found, complete=True)
    with pytest.raises(DataError) as caught:
        ErrorBudget(max_bad_fraction=0.19).check(found, complete=True)
    said = str(caught.value)
    assert said.startswith("20 of 100 public posts are bad, more than --max-bad-fraction 0.19")
    assert "10 missing, such as missing0 (why), missing1 (why), missing2 (why); 6 trunc" in said
    assert "missing3" not in said


def test_nothing_is_stopped_before_enough_posts_are_known() -> None:
    budget = ErrorBudget()
    few = tally(0, missing=("fetch", MIN_POSTS - 1), private=("gate", MIN_POSTS))
    budget.check(few, complete=False)
    with pytest.raises(DataError, match="999 of 999 public posts are bad"):
        budget.check(few, complete=True)
    with pytest.raises(DataError, match="1,000 of 1,000 public posts so far are bad"):
        budget.check(tally(0, missing=("fetch", MIN_POSTS)), complete=False)


def test_everything_may_be_bad_if_the_user_says_so() -> None:
    ErrorBudget(max_bad_fraction=1).check(tally(0, missing=("fetch", 5000)), complete=True)
    ErrorBudget(max_bad_fraction=0).check(tally(5, private=("gate", 5)), complete=True)
    with pytest.raises(ConfigError, match=r"max-bad-fraction = 1\.5"):
        ErrorBudget(max_bad_fraction=1.5)
