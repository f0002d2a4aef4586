"""The tagging endpoint on Ray Serve."""

import hashnext  # noqa: F401 - sets Ray's switches, before any module here imports Ray
