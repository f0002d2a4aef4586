"""What Ray Train offers the loop, as far as it can be had without Ray."""

import errno
import os
from pathlib import Path

import pytest

from hashnext.training.surroundings import require_room


def test_a_checkpoint_is_not_copied_to_where_it_does_not_fit(tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    state.write_bytes(b"all of it")
    require_room(tmp_path, tmp_path)
    statistics = os.statvfs(tmp_path)
    os.truncate(state, statistics.f_bfree * statistics.f_frsize + (1 << 30))  # sparse
    with pytest.raises(OSError, match=r"No space left .* MB needed, [\d,]+ MB free") as error:
        require_room(tmp_path, tmp_path)
    assert error.value.errno == errno.ENOSPC
    require_room(tmp_path, None)
