"""Sweeps over vocabularies and resampling strengths."""

import hashnext  # noqa: F401 - sets Ray's switches, before any module here imports Ray
