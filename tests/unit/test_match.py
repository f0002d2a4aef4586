"""Tags to nouns: each rule by name, and what a picture can show."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags import words
from hashnext.hashtags.match import AFFIXES, matches
from hashnext.hashtags.reading import Reader
from hashnext.hashtags.senses import choose, company, weigh
from hashnext.hashtags.visual import PERSON_REASON, VisualPolicy

LEXICON = lexicons.load()
READER = Reader(LEXICON)
ENGLISH = words.load(LEXICON.single_words).split


@pytest.mark.parametrize(
    ("tag", "form", "rule"),
    [
        ("brownbear", "brownbear", "lemma"),
        ("dogs", "dog", "plural"),
        ("foxes", "fox", "plural"),
        ("butterflies", "butterfly", "plural"),
        ("mice", "mouse", "irregular plural"),
        ("dogsofinstagram", "dog", "...ofinstagram"),
        ("catlover", "cat", "...lover"),
        ("instafood", "food", "insta..."),
        ("coffeeoftheday", "coffee", "...oftheday"),
        ("petstagram", "pet", "...stagram"),
        ("ilovemydog", "dog", "ilovemy..."),
        ("café", "cafe", "without diacritics"),
        ("crèmebrûlée", "cremebrulee", "without diacritics"),
    ],
)
def test_rules(tag: str, form: str, rule: str) -> None:
    found = matches(tag, LEXICON)
    assert (found[0].form, found[0].rule) == (form, rule)
    assert 0 < found[0].confidence <= 1


def test_no_noun() -> None:
    assert matches("likeforlike", LEXICON) == []
    assert matches("a" * 10_000, LEXICON) == []
    assert matches("instaup", LEXICON) == []


def test_rules_have_distinct_names() -> None:
    assert len({affix.rule for affix in AFFIXES}) == len(AFFIXES)


def test_every_ilsvrc_synset_but_its_persons_can_be_seen() -> None:
    policy = VisualPolicy(LEXICON)
    out = {LEXICON.name(row): why for row in LEXICON.ilsvrc if (why := policy.why_out(row))}
    assert out == dict.fromkeys(["ballplayer", "groom", "scuba diver"], PERSON_REASON)


@pytest.mark.parametrize(
    ("tag", "name"),
    [("trafficlight", "traffic light"), ("eyes", "eye"), ("crane", "crane"), ("jaguar", "jaguar")],
)
def test_visual_senses_are_preferred(tag: str, name: str) -> None:
    assert name in {LEXICON.name(synset) for synset in READER.read(tag).shares}


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("girl", PERSON_REASON),
        ("happiness", "abstract noun (state)"),
        ("london", "named location"),
        ("good", "abstract noun (attribute)"),
        ("red", "reviewed: a colour"),
        ("likeforlike", "no noun synset"),
        ("", "nothing left after normalisation"),
    ],
)
def test_reasons(tag: str, reason: str) -> None:
    reading = READER.read(tag)
    assert not reading.shares
    assert reading.reason == reason


def test_scope_imagenet_holds_only_ilsvrc() -> None:
    reader = Reader(LEXICON, only_ilsvrc=True)
    assert set(reader.read("tabbycat").shares) <= LEXICON.ilsvrc
    assert reader.read("beagle").shares
    assert reader.read("dog").reason == "outside scope imagenet"


def test_the_company_chooses_the_sense() -> None:
    readings = {tag: READER.read(tag) for tag in ("crane", "bird", "liftingdevice")}
    kin = company(readings, LEXICON)
    for friend, parent in (("bird", "bird"), ("liftingdevice", "lifting device")):
        together = {("crane", friend): 5, ("crane", "crane"): 10, (friend, friend): 5}
        chosen = choose(readings, weigh(readings, kin, together, num_posts=100))["crane"]
        assert parent in {LEXICON.name(above) for above in LEXICON.ancestors(chosen)}


@pytest.mark.parametrize("last", ["bug", "bluebug"])
def test_a_compound_takes_no_unusual_sense_from_its_noun_nor_bars_it(last: str) -> None:
    tags = sorted(("microorganism", "bug", "bluebug"), key=last.__eq__)
    readings = {tag: READER.read(tag, ENGLISH(tag)) for tag in tags}
    together = {("bug", "microorganism"): 9, ("bug", "bug"): 10,
                ("microorganism", "microorganism"): 10}  # fmt: skip
    scores = weigh(readings, company(readings, LEXICON), together, num_posts=100)
    chosen = choose(readings, scores)
    assert LEXICON.name(chosen["bug"]) == "microbe"
    assert LEXICON.name(chosen["bluebug"]) == "bug"


LEMMAS = st.sampled_from(["car", "cars", "auto", "automobile", "dog", "dogs", "domesticdog", "cat",
                          "kitty", "crane", "cranes", "beagle", "animal", "ursusarctos",
                          "brownbear"])  # fmt: skip


@given(st.lists(LEMMAS, unique=True, min_size=1), st.randoms(use_true_random=False))
def test_merging_is_symmetric_and_does_not_depend_on_the_order(
    tags: list[str], chance: random.Random
) -> None:
    def groups(order: list[str]) -> set[frozenset[str]]:
        readings = {tag: READER.read(tag) for tag in order}
        kin = company(readings, LEXICON)
        together = {(one, two): 5 for one in tags for two in tags}
        chosen = choose(readings, weigh(readings, kin, together, num_posts=100))
        return {frozenset(t for t in chosen if chosen[t] == chosen[tag]) for tag in chosen}

    shuffled = chance.sample(tags, len(tags))
    assert groups(tags) == groups(shuffled)
    for one, two in (("car", "automobile"), ("dog", "domesticdog"), ("brownbear", "ursusarctos")):
        if one in tags and two in tags:
            assert any({one, two} <= group for group in groups(tags))
