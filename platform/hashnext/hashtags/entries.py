"""Lists of hashtags and synsets that the maker of a vocabulary allows or denies."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hashnext.errors import ConfigError
from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.normalise import normalise

_WNID = re.compile(r"n\d{8}")
_ALMOST_WNID = re.compile(r"\s*[nN]\d{4,}\s*")


@dataclass(frozen=True)
class Entries:
    """One list."""

    tags: frozenset[str] = frozenset()
    """Normalised hashtags."""
    synsets: frozenset[int] = frozenset()
    """Rows of the lexicon."""

    @classmethod
    def of(cls, key: str, entries: Iterable[str], lexicon: Lexicon) -> "Entries":
        """Hashtags and wnids (`n02084071`) as people list them.

        Raises:
            ConfigError: an entry is neither a hashtag nor the wnid of a noun; names the `key`.
        """
        tags, synsets = set(), set()
        for entry in entries:
            if _WNID.fullmatch(entry):
                synsets.add(_row(key, entry, lexicon))
            elif _ALMOST_WNID.fullmatch(entry):
                raise ConfigError(key, entry, "a wnid is n and eight digits: n02084071")
            elif tag := normalise(entry):
                tags.add(tag)
            else:
                raise ConfigError(key, entry, "needs a letter or a digit")
        return cls(frozenset(tags), frozenset(synsets))


NO_ENTRIES = Entries()


def expanded(key: str, entries: Iterable[str]) -> tuple[str, ...]:
    """Entries with every `@PATH` replaced by the lines of that text file, blank ones left out.

    Hashtags come normalised, so that expanding again changes nothing.

    Raises:
        ConfigError: a file cannot be read; names the `key`.
    """
    found: list[str] = []
    for entry in entries:
        lines = _lines(key, entry) if entry.startswith("@") else [entry]
        found += [line if _ALMOST_WNID.fullmatch(line) else normalise(line) or line
                  for line in lines]  # fmt: skip
    return tuple(found)


def _lines(key: str, entry: str) -> list[str]:
    try:
        text = Path(entry.removeprefix("@")).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(key, entry, f"cannot be read as a text file ({error})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _row(key: str, wnid: str, lexicon: Lexicon) -> int:
    try:
        return lexicon.row(wnid)
    except KeyError:
        raise ConfigError(key, wnid, "is no noun synset of WordNet 3.0") from None
