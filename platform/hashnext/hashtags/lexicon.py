"""WordNet 3.0's nouns as the package ships them: synsets, the forms that name them, hypernyms.

The tables are described and rebuilt by `lexicon_build`. A synset is a row number here; `wnid` and
`row` translate.
"""

from collections import deque
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hashnext.hashtags import data
from hashnext.hashtags.lexicon_build import EXCEPTIONS, ILSVRC, NOUNS, SENSES, VERSION


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The nouns; made by `load()`, which keeps one per process."""

    nouns: pa.Table
    forms: dict[str, int]
    """Row of a form in `sense_lists`."""
    sense_lists: tuple[pa.ListArray, pa.ListArray]
    """Synsets of each form, the most frequent first, and their counts in the concordance."""
    version: str = VERSION

    def __len__(self) -> int:
        """Number of synsets."""
        return int(self.nouns.num_rows)

    def senses(self, form: str) -> list[int]:
        """Synsets that a normalised form names, the most frequent first; empty when none."""
        return self._sense_list(0, form)

    def counts(self, form: str) -> list[int]:
        """Occurrences of each of `senses(form)` in the semantic concordance."""
        return self._sense_list(1, form)

    @cached_property
    def exceptions(self) -> dict[str, list[str]]:
        """Irregular plurals and their singulars."""
        found: dict[str, list[str]] = {}
        table = _table(EXCEPTIONS)
        for plural, one in zip(*(table[c].to_pylist() for c in table.column_names), strict=True):
            found.setdefault(plural, []).append(one)
        return found

    def wnid(self, synset: int) -> str:
        """`n` and the synset's offset in WordNet 3.0, as ImageNet names it."""
        return self._wnids[synset]

    def row(self, wnid: str) -> int:
        """Row of a wnid. Raises KeyError."""
        return self._rows[wnid]

    def name(self, synset: int) -> str:
        """First lemma, in words."""
        return self._names[synset]

    def lexname(self, synset: int) -> str:
        """Lexicographer file, such as `animal`."""
        return self._lexnames[synset]

    def depth(self, synset: int) -> int:
        """Length of the shortest hypernym path to the root *entity*."""
        return self._depths[synset]

    def hypernyms(self, synset: int) -> list[int]:
        """Direct hypernyms, and for an instance (Eiffel Tower) its classes."""
        return self._hypernyms[synset]

    def ancestors(self, synset: int) -> list[int]:
        """All hypernyms, the nearest first, without the synset itself."""
        if synset not in self._ancestors:
            self._ancestors[synset] = self._climb(synset)
        return self._ancestors[synset]

    def _climb(self, synset: int) -> list[int]:
        found: dict[int, None] = {}
        queue = deque(self.hypernyms(synset))
        while queue:
            parent = queue.popleft()
            if parent not in found:
                found[parent] = None
                queue.extend(self.hypernyms(parent))
        return list(found)

    @cached_property
    def single_words(self) -> frozenset[str]:
        """Lemmas of one word of plain letters, lower case."""
        lemmas = pc.list_flatten(self.nouns["lemmas"])
        return frozenset(pc.utf8_lower(lemmas.filter(pc.utf8_is_alpha(lemmas))).to_pylist())

    @cached_property
    def ilsvrc(self) -> frozenset[int]:
        """The 1,000 synsets of the ILSVRC 2012 classification task."""
        lines = resources.files(data).joinpath(ILSVRC).read_text().split()
        return frozenset(self.row(wnid) for wnid in lines)

    def _sense_list(self, which: int, form: str) -> list[int]:
        row = self.forms.get(form)
        if row is None:
            return []
        offsets, values = self._sense_arrays[which]
        return values[offsets[row] : offsets[row + 1]].tolist()  # type: ignore[no-any-return]

    @cached_property
    def _sense_arrays(self) -> list[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        return [(np.asarray(lists.offsets), np.asarray(lists.values)) for lists in self.sense_lists]

    @cached_property
    def _names(self) -> list[str]:
        firsts = pc.list_element(self.nouns["lemmas"], 0)
        return list(pc.replace_substring(firsts, "_", " ").to_pylist())

    @cached_property
    def _lexnames(self) -> list[str]:
        files = self.nouns["lexname"].cast(pa.string())  # numbers of a dictionary are slow to list
        return [name.removeprefix("noun.") for name in files.to_pylist()]

    @cached_property
    def _wnids(self) -> list[str]:
        return list(self.nouns["wnid"].to_pylist())

    @cached_property
    def _depths(self) -> list[int]:
        return list(self.nouns["depth"].to_pylist())

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {wnid: row for row, wnid in enumerate(self._wnids)}

    @cached_property
    def _hypernyms(self) -> list[list[int]]:
        return list(self.nouns["hypernyms"].to_pylist())

    @cached_property
    def _ancestors(self) -> dict[int, list[int]]:
        return {}


@cache
def load() -> Lexicon:
    """The shipped lexicon; under 0.3 s the first time in a process."""
    senses = _table(SENSES)
    forms = senses["form"].to_pylist()
    return Lexicon(
        nouns=_table(NOUNS),
        forms=dict(zip(forms, range(len(forms)), strict=True)),
        sense_lists=(senses["synsets"].combine_chunks(), senses["counts"].combine_chunks()),
    )


def _table(name: str) -> pa.Table:
    contents = resources.files(data).joinpath(name).read_bytes()
    return pq.ParquetFile(pa.BufferReader(contents)).read()
