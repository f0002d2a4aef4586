"""Reading tags: lists, named places, compounds, and tags that are no nouns at all."""

from pathlib import Path

import pytest

from hashnext.errors import ConfigError
from hashnext.hashtags import build, words
from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags.build import read_tags
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.entries import Entries
from hashnext.hashtags.match import MAX_LENGTH
from hashnext.hashtags.reading import ABBREVIATION, OUTSIDE, Reader
from hashnext.hashtags.splitting import telling_spellings
from hashnext.hashtags.tables import normalised_posts
from hashnext.hashtags.visual import DENIED, PERSON_REASON
from jobs.vocabulary import VocabularyJob

LEXICON = lexicons.load()
ENGLISH = words.load(LEXICON.single_words).split
DOG, GIRL, LONDON = "n02084071", "n10129825", "n08873622"


def names(reader: Reader, tag: str) -> set[str]:
    return {LEXICON.wnid(synset) for synset in reader.read(tag, ENGLISH(tag)).shares}


def reader(**settings: object) -> Reader:
    return VocabularyConfig(**settings).reader(LEXICON)  # type: ignore[arg-type]  # as given


def test_denied_hashtags_and_synsets_are_out() -> None:
    denying = reader(deny=("#Puppy", DOG))
    assert denying.read("puppy").reason == DENIED
    assert DOG in names(reader(), "dog")
    assert DOG not in names(denying, "dog")
    assert names(denying, "cat") == names(reader(), "cat")


def test_allowed_hashtags_and_synsets_are_in_unless_persons() -> None:
    love = LEXICON.wnid(LEXICON.senses("love")[0])
    assert not names(reader(), "love")
    assert names(reader(allow=("love",)), "love") >= {love}
    assert names(reader(allow=(love,)), "love") == {love}
    allowing = reader(allow=("girl", GIRL))
    assert not names(allowing, "girl")
    assert allowing.read("girl").reason == PERSON_REASON


def test_named_places_come_on_request() -> None:
    assert reader().read("london").reason == "named location"
    assert LONDON in names(reader(named_places=True), "london")


@pytest.mark.parametrize("entry", ["n99999999", "#", "🐶"])
def test_entries_that_name_nothing_are_refused(entry: str) -> None:
    with pytest.raises(ConfigError, match=f"deny = '{entry}'"):
        VocabularyConfig(deny=(entry,))


def test_entries_meet_in_their_normalised_form() -> None:
    assert Entries.of("allow", ["#Brown_Bear"], LEXICON).tags == {"brownbear"}


def test_lists_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "deny.txt").write_text(f"#love\n\n  {DOG} \n", encoding="utf-8")
    job = VocabularyJob(posts="p", out="o", deny=("cat", f"@{tmp_path}/deny.txt"))
    assert job.config().deny == ("cat", "love", DOG)
    with pytest.raises(ConfigError, match=r"deny = '@missing\.txt': cannot be read"):
        VocabularyJob(posts="p", out="o", deny=("@missing.txt",))


def test_nameless_labels_are_outside_imagenet() -> None:
    with pytest.raises(ConfigError, match=r"nameless = True: .* outside scope imagenet"):
        VocabularyConfig(scope="imagenet", nameless=True)


@pytest.mark.parametrize(
    ("tag", "rule", "kind"),
    [("reddress", "head noun", "dress"), ("cats2019", "number", "cat"), ("exoticcars", "head noun",
                                                                        "car")],
)  # fmt: skip
def test_compounds_and_numbers(tag: str, rule: str, kind: str) -> None:
    found = reader().read(tag, ENGLISH(tag))
    assert found.match
    assert (found.match.rule, found.match.form) == (rule, kind)
    assert found.shares
    assert found.match.confidence < 0.9


def test_a_compound_needs_a_usual_noun() -> None:
    assert not reader().read("nikeairmax", ENGLISH("nikeairmax")).shares


@pytest.mark.parametrize("tag", ["a" * 10_000, "اليوم", "ё" * 50, "👩‍👩‍👧", "\u0301\u0301", ""])
def test_odd_tags_have_a_reason(tag: str) -> None:
    found = reader().read(tag, ENGLISH(tag[:MAX_LENGTH]))
    assert found.reason
    assert not found.shares


def test_rare_tags_are_not_split() -> None:
    written = {"reddress": 4, "reddresses": 5, "Blue_Dress": 5}
    found = read_tags(normalised_posts(written), telling_spellings(written), VocabularyConfig())
    assert not found["reddress"].shares
    assert found["reddresses"].shares
    assert found["bluedress"].shares


def test_lists_never_let_persons_in_and_denying_wins() -> None:
    assert not names(reader(allow=("beachbabe", "makeupjunkie")), "beachbabe")
    assert not names(reader(allow=("makeupjunkie",)), "makeupjunkie")
    assert not names(reader(allow=("beagle",), deny=("n02088364",)), "beagle")


def test_an_allowed_synset_overrides_reviews_and_shares() -> None:
    assert names(reader(allow=("n03925226",)), "photo") == {"n03925226"}
    assert names(reader(allow=("n03076708",)), "good") == {"n03076708"}


@pytest.mark.parametrize("entry", ["N02088364", "n2084071", "n020840711"])
def test_mistyped_wnids_are_refused(entry: str) -> None:
    with pytest.raises(ConfigError, match="a wnid is n and eight digits"):
        VocabularyConfig(deny=(entry,))


@pytest.mark.parametrize(("tag", "name"), [("wheels", "wheel"), ("sunglasses", "sunglasses"),
                                           ("glasses", "spectacles"), ("eyes", "eye")])  # fmt: skip
def test_a_plural_that_is_a_noun_itself_is_a_plural_where_only_the_singular_is_used(
    tag: str, name: str
) -> None:
    found = reader().read(tag)
    assert name in {LEXICON.name(synset) for synset in found.shares}


def test_underscores_and_capitals_tell_the_words() -> None:
    written = {"pen_island": 9, "PenIsland": 3, "penisland": 50}
    assert telling_spellings(written) == {"penisland": "pen_island"}
    assert telling_spellings({"dog": 3, "#cat": 2}) == {}


def test_a_first_capital_tells_no_words() -> None:
    assert telling_spellings({"Reddress": 60, "RedDress": 49}) == {"reddress": "RedDress"}
    assert telling_spellings({"Reddress": 60, "REDDRESS": 9, "_reddress": 9}) == {}


def test_many_tags_are_read_by_several_tasks_alike(
    ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {"reddress": 9, "dog": 9, "BlueDress": 9, "vsco": 30, "vscoshoes": 9, "tbt": 9,
               "crèmebrûléecake": 9}  # fmt: skip
    posts, spelt = normalised_posts(written), telling_spellings(written)
    found = read_tags(posts, spelt, VocabularyConfig())
    monkeypatch.setattr(build, "TASK_TAGS", 2)
    assert read_tags(posts, spelt, VocabularyConfig()) == found
    nouns = {tag: reading.noun for tag, reading in found.items() if reading.shares}
    assert nouns == {"reddress": "dress", "dog": "dog", "bluedress": "dress",
                     "vscoshoes": "shoe", "crèmebrûléecake": "cake"}  # fmt: skip


@pytest.mark.parametrize("tag", [
    "pussy", "tits", "boobs", "dick", "asses", "twins", "human", "loveisland", "dailymail",
    "waterworld", "young",
])  # fmt: skip
def test_what_people_mean_otherwise_is_out(tag: str) -> None:
    found = reader().read(tag, ENGLISH(tag))
    assert not found.shares
    assert found.reason


def test_no_label_is_named_by_a_sexual_part() -> None:
    assert "n01792158" in names(reader(), "cock")
    assert not {"n05526713", "n05554405"} & (names(reader(), "cock") | names(reader(), "breast"))
    assert names(reader(), "bluetits") == {LEXICON.wnid(LEXICON.senses("bluetit")[0])}


def test_abbreviations_are_out() -> None:
    assert reader().read("pt").reason == ABBREVIATION
    for tag in ("ox", "pc"):
        assert names(reader(), tag)


def test_lists_let_nothing_outside_the_scope_in() -> None:
    love = LEXICON.wnid(LEXICON.senses("love")[0])
    for entry in ("love", love):
        assert not names(reader(scope="imagenet", allow=(entry,)), "love")
    assert reader(scope="imagenet", allow=("dog",)).read("dog").reason == OUTSIDE
    assert names(reader(scope="imagenet", allow=("beagle",)), "beagle") == {"n02088364"}
