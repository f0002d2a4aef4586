"""Tables derived from WordNet 3.0 (its licence is beside them) and short reviewed lists."""
