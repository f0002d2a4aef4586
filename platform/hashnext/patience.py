"""Trying again what may work the next time: reads over networks and on busy machines."""

import errno
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE_S = 0.25
"""Pause before the second attempt, doubled before each further one, up to half as long again."""
ATTEMPTS = 5
"""How often a read is tried that has no settings of its own: for 4 to 6 seconds."""
PASSING = frozenset(
    [errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE,
     errno.ETIMEDOUT, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE,
     errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ENETUNREACH]
)  # fmt: skip
"""Error numbers of busy machines and of networks."""
REFUSED = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH",
           "PERMISSION_DENIED", "UNAUTHENTICATED")  # fmt: skip
"""What object stores call errors that will be the same next time; any other of theirs may pass."""
DAMAGED = "CRC checksum verification failed"
"""What pyarrow says of a page of Parquet that is not what was written."""


def may_pass(error: Exception) -> bool:
    """True for an error that another attempt may not meet."""
    lasting = FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError
    if isinstance(error, lasting) or not isinstance(error, OSError):
        return False
    if error.errno is not None:
        return error.errno in PASSING
    return not any(word in str(error) for word in (*REFUSED, DAMAGED))


def pauses(attempts: int) -> Iterator[float]:
    """Seconds to wait after each of so many attempts, infinite after the last."""
    for number in range(attempts - 1):
        # By chance a little longer, else all that failed together would come again together.
        yield FIRST_PAUSE_S * 2**number * (1 + random.random() / 2)
    yield math.inf


def patiently(read: Callable[[], T], attempts: int = ATTEMPTS) -> T:
    """What a call returns, tried again after an error that may pass; the last error is raised."""
    for pause in pauses(attempts):
        try:
            return read()
        except OSError as error:
            if math.isinf(pause) or not may_pass(error):
                raise
        time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")
