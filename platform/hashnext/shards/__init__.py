"""Shards: clean images on disk, and the exact stream of training samples over them."""
