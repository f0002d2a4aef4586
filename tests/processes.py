"""Processes below one that a test started."""

import os
import signal
import subprocess
from contextlib import suppress

import ray  # noqa: F401 - ships psutil and puts it on the path

# isort: split
import psutil


def below(root: subprocess.Popen[bytes], title: str = "") -> list[psutil.Process]:
    """Those below a process whose command line begins with a title, in the order they began."""
    found = []
    for process in psutil.Process(root.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess, IndexError):
            if process.cmdline()[0].startswith(title):
                found.append(process)
    return sorted(found, key=psutil.Process.create_time)


def kill_tree(root: subprocess.Popen[bytes]) -> None:
    """End a process and all below it."""
    for process in below(root):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    root.kill()
    root.wait()
