"""What a hashtag is, and that all its spellings meet in one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.hashtags.normalise import extract_hashtags, normalise, without_diacritics


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("#BrownBear", "brownbear"),
        ("brown_bear", "brownbear"),
        ("＃ｄｏｇ", "dog"),
        ("do\u200bg\ufe0f🐶", "dog"),
        ("Straße", "strasse"),
        ("CAFÉ", "café"),
        ("cafe\u0301", "café"),
        ("#été2018", "été2018"),
        ("#자연", "자연"),
        ("#हिन्दी", "हिन्दी"),
        ("#❤️", ""),
        ("#", ""),
    ],
)
def test_spellings(written: str, expected: str) -> None:
    assert normalise(written) == expected


@given(st.text())
def test_normalising_twice_changes_nothing(tag: str) -> None:
    assert normalise(normalise(tag)) == normalise(tag)


@given(st.text(alphabet="éèÅab\u0301\u200d\u0345ßﬁǅ①\ufe0f\u1e9eΣς가\u1100\u1161", max_size=8))
def test_normalising_hard_letters_twice_changes_nothing(tag: str) -> None:
    assert normalise(normalise(tag)) == normalise(tag)


@given(st.text(alphabet="dogCAFÉé"))
def test_case_hash_and_underscores_do_not_matter(tag: str) -> None:
    assert normalise("#" + "_".join(tag.upper())) == normalise(tag)


def test_without_diacritics() -> None:
    assert without_diacritics("crèmebrûlée") == "cremebrulee"
    assert without_diacritics("자연") == "자연"


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("my #dog and #Cat!", ["dog", "Cat"]),
        ("#dog#cat", ["dog", "cat"]),
        ("##dog", ["dog"]),
        ("#brown_bear, #brown-bear", ["brown_bear", "brown"]),
        ("we are #1 and #2nd", ["2nd"]),
        ("C#sharp and page/#part and &#x27;", []),
        ("#自然 ＃été #हिन्दी #کتاب\u200cخانه", ["自然", "été", "हिन्दी", "کتاب\u200cخانه"]),
        ("#dog🐶 #❤️", ["dog"]),
        ("no tags", []),
        ("", []),
    ],
)
def test_hashtags_of_a_caption(caption: str, expected: list[str]) -> None:
    assert extract_hashtags(caption) == expected
