"""Rebuilds the noun lexicon from WordNet 3.0 through NLTK's reader; run by `jobs.lexicon`.

Three tables, without glosses, small enough to ship with the package:

    nouns.parquet       wnid · lexname · instance · depth · lemmas · hypernyms   a row per synset
    senses.parquet      form · synsets · counts  a row per normalised lemma
    exceptions.parquet  plural · singular        irregular forms (noun.exc)

`hypernyms` and `synsets` are row numbers of `nouns`. The synsets of a form stand in WordNet's
order, the most frequent first; `counts` says how often the semantic concordance has each.
"""

import warnings
from collections import Counter
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from hashnext.errors import ConfigError
from hashnext.hashtags.normalise import normalise

VERSION = "3.0"
NOUNS, SENSES, EXCEPTIONS = "nouns.parquet", "senses.parquet", "exceptions.parquet"
ILSVRC = "ilsvrc_wnids.txt"


def open_wordnet(nltk_data: str | Path) -> Any:
    """NLTK's WordNet reader over a folder of NLTK data.

    Raises:
        ConfigError: the folder holds no WordNet, or one of another version.
    """
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    folder = Path(nltk_data).resolve()
    resource = _resource(folder)
    nltk.data.path.insert(0, str(folder))  # NLTK opens nothing outside its path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are no other languages
        reader = WordNetCorpusReader(nltk.data.find(resource), omw_reader=None)
    if (found := reader.get_version()) != VERSION:
        raise ConfigError("wordnet", str(nltk_data), f"is WordNet {found}, not {VERSION}")
    return reader


def _resource(nltk_data: Path) -> str:
    for resource in ("corpora/wordnet.zip", "corpora/wordnet"):
        if (nltk_data / resource).exists():
            return resource.replace(".zip", ".zip/wordnet") + "/"
    raise ConfigError("wordnet", str(nltk_data), "holds no corpora/wordnet")


def build_tables(wordnet: Any) -> dict[str, pa.Table]:
    """The three tables by file name."""
    synsets = sorted(wordnet.all_synsets("n"), key=lambda synset: int(synset.offset()))
    rows = {synset.offset(): row for row, synset in enumerate(synsets)}
    return {
        NOUNS: _nouns(synsets, rows),
        SENSES: _senses(wordnet, synsets, rows),
        EXCEPTIONS: _exceptions(wordnet),
    }


def wnid(offset: int) -> str:
    """ImageNet's name of a noun synset: `n` and WordNet 3.0's offset in eight digits."""
    return f"n{offset:08d}"


def _nouns(synsets: list[Any], rows: dict[int, int]) -> pa.Table:
    parents = [
        sorted(rows[parent.offset()] for parent in synset.hypernyms() + synset.instance_hypernyms())
        for synset in synsets
    ]
    return pa.table({
        "wnid": [wnid(synset.offset()) for synset in synsets],
        "lexname": pa.array([synset.lexname() for synset in synsets]).dictionary_encode(),
        "instance": [bool(synset.instance_hypernyms()) for synset in synsets],
        "depth": pa.array([synset.min_depth() for synset in synsets], pa.int32()),
        "lemmas": [synset.lemma_names() for synset in synsets],
        "hypernyms": pa.array(parents, pa.list_(pa.int32())),
    })  # fmt: skip


def _senses(wordnet: Any, synsets: list[Any], rows: dict[int, int]) -> pa.Table:
    counts: Counter[tuple[str, int]] = Counter()
    for row, synset in enumerate(synsets):
        for lemma in synset.lemmas():
            counts[normalise(lemma.name()), row] += lemma.count()
    ranks: dict[tuple[str, int], int] = {}
    with wordnet.open("index.noun") as index:
        for line in index:
            if not line.startswith(" "):
                lemma, offsets = _index_entry(line)
                for rank, offset in enumerate(offsets):
                    key = normalise(lemma), rows[offset]
                    ranks[key] = min(rank, ranks.get(key, rank))
    ordered = sorted(counts, key=lambda key: (key[0], ranks[key], -counts[key], key[1]))
    spans = {form: list(keys) for form, keys in groupby(ordered, key=itemgetter(0))}
    synset_lists = [[row for _, row in keys] for keys in spans.values()]
    count_lists = [[counts[key] for key in keys] for keys in spans.values()]
    return pa.table({
        "form": list(spans),
        "synsets": pa.array(synset_lists, pa.list_(pa.int32())),
        "counts": pa.array(count_lists, pa.list_(pa.int32())),
    })  # fmt: skip


def _index_entry(line: str) -> tuple[str, list[int]]:
    lemma, _, num_synsets, *rest = line.split()
    return lemma, [int(offset) for offset in rest[-int(num_synsets) :]]


def _exceptions(wordnet: Any) -> pa.Table:
    pairs: set[tuple[str, str]] = set()
    with wordnet.open("noun.exc") as file:
        for line in file:
            plural, *singulars = map(normalise, line.split())
            pairs |= {(plural, singular) for singular in singulars if singular != plural}
    ordered = sorted(pairs)
    return pa.table({
        "plural": [plural for plural, _ in ordered], "singular": [one for _, one in ordered],
    })  # fmt: skip
