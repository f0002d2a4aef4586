"""The synthetic concepts: WordNet 3.0 nouns, what people call them, and what they look like.

They are the rows of concepts.csv, from the most to the least frequent. `parts` lists what is drawn,
from back to front: a primitive (`pair`: with its mirror image), a colour of `drawing.COLOURS`, and
the primitive's parameters.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from hashnext.posts.synthetic import primitives
from hashnext.posts.synthetic.primitives import Outlines


@dataclass(frozen=True)
class Concept:
    """One row of the table."""

    wnid: str
    names: list[str]
    """Lemmas of the synset in WordNet 3.0, the usual one first."""
    broader: list[str]
    """Lemmas of its hypernyms."""
    emoji: str
    turn: int | None
    """Largest rotation in degrees; None for scenes and textures, which fill the picture."""
    parts: list[tuple[str, Outlines]]
    """Colours and outlines, from back to front."""


@cache
def concepts() -> list[Concept]:
    """All rows."""
    text = resources.files(__package__).joinpath("concepts.csv").read_text()
    return [
        Concept(
            row["wnid"], row["names"].split(), row["broader"].split(), row["emoji"],
            int(row["turn"]) if row["turn"] else None, [*map(_part, row["parts"].split("; "))],
        )
        for row in csv.DictReader(text.splitlines())
    ]  # fmt: skip


def _part(text: str) -> tuple[str, Outlines]:
    name, colour, *values = text.removeprefix("pair ").split()
    outlines: Outlines = getattr(primitives, name)(*map(float, values))
    if text.startswith("pair "):
        outlines += [[(-x, y) for x, y in outline] for outline in outlines]
    return colour, outlines
