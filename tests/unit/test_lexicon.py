"""The shipped lexicon against NLTK's own reader of WordNet, and its speed."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hashnext.errors import ConfigError
from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags.lexicon_build import open_wordnet, wnid
from hashnext.hashtags.normalise import normalise

LEXICON = lexicons.load()


@pytest.fixture(scope="module")
def wordnet(real_data: Path) -> Any:
    return open_wordnet(real_data / "nltk_data")


def test_counts_of_wordnet() -> None:
    assert len(LEXICON) == 82_115
    assert len(LEXICON.ilsvrc) == 1000


def test_synsets_are_those_of_nltk(wordnet: Any) -> None:
    for row in random.Random(0).sample(range(len(LEXICON)), 2000):
        synset = wordnet.synset_from_pos_and_offset("n", int(LEXICON.wnid(row)[1:]))
        parents = synset.hypernyms() + synset.instance_hypernyms()
        names = [LEXICON.wnid(parent) for parent in LEXICON.hypernyms(row)]
        assert names == sorted(wnid(parent.offset()) for parent in parents)
        assert LEXICON.nouns["lemmas"][row].as_py() == synset.lemma_names()
        assert LEXICON.nouns["lexname"][row].as_py() == synset.lexname()
        assert LEXICON.nouns["instance"][row].as_py() == bool(synset.instance_hypernyms())
        assert LEXICON.depth(row) == synset.min_depth()
        assert set(LEXICON.ancestors(row)) == {
            LEXICON.row(wnid(above.offset()))
            for path in synset.hypernym_paths() for above in path[:-1]
        }  # fmt: skip


def test_senses_stand_in_the_order_of_nltk(wordnet: Any) -> None:
    single_words = [form for form in LEXICON.forms if form.isalpha() and form.isascii()]
    for form in random.Random(1).sample(single_words, 1000):
        synsets = [s for s in wordnet.synsets(form, "n") if form in map(normalise, s.lemma_names())]
        found = [LEXICON.wnid(row) for row in LEXICON.senses(form)]
        ordered = list(dict.fromkeys(wnid(synset.offset()) for synset in synsets))
        assert [name for name in found if name in ordered] == ordered
    cat = wordnet.synsets("cat", "n")[0]
    count = next(lemma.count() for lemma in cat.lemmas() if lemma.name() == "cat")
    assert LEXICON.counts("cat")[0] == count == 18


def test_exceptions() -> None:
    assert LEXICON.exceptions["mice"] == ["mouse"]
    assert LEXICON.exceptions["wolves"] == ["wolf"]


def test_ancestors_come_nearest_first() -> None:
    beagle = LEXICON.senses("beagle")[0]
    names = [LEXICON.name(row) for row in LEXICON.ancestors(beagle)]
    assert names[:2] == ["hound", "hunting dog"]
    assert names[-1] == "entity"


def test_loading_takes_less_than_300_ms_of_cpu() -> None:
    code = (
        "import time; from hashnext.hashtags import lexicon;"
        "start = time.process_time(); lexicon.load(); print(time.process_time() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.3


def test_a_folder_without_wordnet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no corpora/wordnet"):
        open_wordnet(tmp_path)
