"""Cluster jobs: each parses its command line, calls the library and reports."""

import hashnext  # noqa: F401 - sets Ray's switches, before any module here imports Ray
