"""Tags to nouns: each rule by name, and what a picture can show."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags import words
from hashnext.hashtags.match import AFFIXES, HEAD_CONFIDENCE, Match, matches
from hashnext.hashtags.reading import Reader, Reading
from hashnext.hashtags.senses import Score, choose, company, weigh
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
        ("mydog", "dog", "my..."),
        ("foodgram", "food", "...gram"),
        ("instadog2019", "dog", "insta... + number"),
        ("dogsofinstagram2019", "dog", "number + ...ofinstagram"),
        ("café", "cafe", "without diacritics"),
        ("crèmebrûlée", "cremebrulee", "without diacritics"),
    ],
)
def test_rules(tag: str, form: str, rule: str) -> None:
    found = matches(tag, LEXICON)
    assert (found[0].form, found[0].rule) == (form, rule)
    assert 0 < found[0].confidence <= 1


@pytest.mark.parametrize(
    ("tag", "form", "rule"),
    [
        ("cutedogsofinstagram", "dog", "...ofinstagram + head noun"),
        ("reddress2019", "dress", "number + head noun"),
        ("reddress21", "dress", "number + head noun"),
        ("ilovemyreddress", "dress", "ilovemy... + head noun"),
        ("bluemountainphotography", "mountain", "...photography + head noun"),
        ("redskirtlover", "skirt", "...lover + head noun"),
        ("nationalpizzaday", "pizza", "...day + head noun"),
    ],
)
def test_rules_work_on_what_others_leave(tag: str, form: str, rule: str) -> None:
    found = matches(tag, LEXICON, ENGLISH(tag))[0]
    assert (found.form, found.rule, found.of_compound) == (form, rule, True)
    outer = {affix.rule: affix.confidence for affix in AFFIXES} | {"number": 0.8}
    assert found.confidence <= outer[rule.split(" + ")[0]] * HEAD_CONFIDENCE


def test_a_habit_is_no_head() -> None:
    assert matches("zorblephotography", LEXICON, ["zorble", "photography"]) == []
    assert matches("photography", LEXICON)[0].form == "photography"


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


KIN = {"crane": {1: {"bird", "heron"}, 2: {"machine", "tower"}}}
CRANE = {"crane": Reading(Match("crane", "lemma", 1.0), {1: 0.3, 2: 0.7}, "")}


def crane(num_posts: int = 1000, **posts: int) -> dict[int, Score]:
    """Scores of the senses of #crane, on 10 posts, given the posts with each of its kin."""
    together = {("crane", "crane"): 10} | {("crane", tag): n for tag, n in posts.items()}
    together |= {(tag, tag): 10 for tag in posts}
    return weigh(CRANE, KIN, together, num_posts)["crane"]


def test_much_company_of_two_senses_still_tells_them_apart() -> None:
    scores = crane(bird=9, heron=9, machine=9, tower=2)
    assert scores[1].company > scores[2].company
    assert scores[1].total > scores[2].total  # the prior is for the other
    assert scores[1].company + scores[2].company == pytest.approx(1.0)


def test_company_on_few_posts_is_a_share_of_them() -> None:
    scores = crane(bird=5)
    assert scores[1].company == pytest.approx((5 - 0.1) / 10)
    assert scores[2].company == 0.0


def test_without_posts_there_is_no_company() -> None:
    assert {score.company for score in crane(num_posts=0).values()} == {0.0}


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
