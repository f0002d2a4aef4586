"""Random numbers as a pure function of what they are for: (seed, epoch, key, ...) -> uniform.

A draw never depends on what was drawn before it, so any part of a run can be replayed alone, on
any worker. The mixing function is SplitMix64's finaliser (Steele, Lea, Flood: "Fast splittable
pseudorandom number generators", OOPSLA 2014).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def words(*parts: Any) -> Words:
    """Mix integers or integer arrays (broadcast together) into uint64 words."""
    with np.errstate(over="ignore"):
        state = np.zeros((), dtype=np.uint64)
        for part in parts:
            state = _mix(state + GOLDEN + np.asarray(part).astype(np.uint64))
    return state


def uniforms(*parts: Any) -> NDArray[np.float64]:
    """Mix integers or integer arrays into float64 in [0, 1), with 53 random bits."""
    return (words(*parts) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(z: Words) -> Words:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)
