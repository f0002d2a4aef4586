"""Patience: what may pass is tried again, with growing pauses, and nothing else is."""

import itertools
import math

import pytest

from hashnext import patience
from hashnext.patience import may_pass, patiently, pauses

BUSY = OSError("AWS Error SLOW_DOWN during GetObject operation")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError("AWS Error NETWORK_CONNECTION during HeadObject: curlCode: 28"), True),
        (OSError("AWS Error SLOW_DOWN during GetObject operation"), True),
        (OSError("AWS Error ACCESS_DENIED during HeadObject operation: No response body."), False),
        (OSError("could not verify page integrity, CRC checksum verification failed"), False),
        (OSError(5, "Input/output error"), True),
        (OSError(40, "Too many levels of symbolic links"), False),
        (FileNotFoundError("no such key"), False),
        (PermissionError(13, "Permission denied"), False),
        (TimeoutError("timed out"), True),
        (ValueError("not a URI"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes


def test_pauses_grow_and_end() -> None:
    *waits, last = pauses(5)
    for number, wait in enumerate(waits):
        assert 0.25 * 2**number <= wait < 1.5 * 0.25 * 2**number
    assert math.isinf(last)
    assert list(pauses(1)) == [math.inf]


@pytest.mark.parametrize(("failures", "error", "calls"), [
    (2, BUSY, 3), (3, BUSY, 3), (1, PermissionError(13, "no"), 1), (1, ValueError("no"), 1),
])  # fmt: skip
def test_three_attempts(
    failures: int, error: Exception, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.0)
    number = itertools.count(1)

    def read() -> int:
        if (call := next(number)) <= failures:
            raise error
        return call

    if failures < calls:
        assert patiently(read, 3) == calls
    else:
        with pytest.raises(type(error)) as raised:
            patiently(read, 3)
        assert raised.value is error
        assert next(number) == calls + 1
