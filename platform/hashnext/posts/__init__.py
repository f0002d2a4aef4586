"""Posts: what one is, where they are read from, who may see them, and a corpus to try with."""
