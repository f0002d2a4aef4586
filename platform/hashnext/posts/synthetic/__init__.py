"""A corpus to try everything with: posts drawn by a program, the same for the same seed."""
