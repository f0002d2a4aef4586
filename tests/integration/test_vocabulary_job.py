"""The vocabulary job over small posts: counts, decisions, privacy, hold-out, cuts and errors."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashnext.errors import ConfigError, DataError, PrivacyError, SchemaError, StateError
from hashnext.hashtags import corpus as corpora
from hashnext.hashtags import words
from hashnext.hashtags.build import _together, build_vocabulary
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.corpus import read_corpus
from hashnext.hashtags.cut import recount
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.view import Specificity
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.readers import PostSource
from hashnext.storage import Folder
from jobs.explain import Explain
from jobs.explain import main as explain
from jobs.vocabulary import VocabularyJob, main

TAGS = ["#Dog", "dogs", "Beagle", "beagle", "animal", "ursus_arctos", "#BrownBear", "cat", "love"]
TAGS += ["girl", "instadog", "#tbt", "#🐶", "crane", "redwine", "trafficlight", None]

pytestmark = pytest.mark.usefixtures("ray_session")


def some_posts(num_posts: int = 600) -> pa.Table:
    """Posts with few and many tags, private and held-out ones; #secrettag only on private posts."""
    draw = random.Random(0)
    tags = [draw.sample(TAGS, draw.randrange(5)) for _ in range(num_posts)]
    public = [draw.random() < 0.9 for _ in range(num_posts)]
    tags = [row if open_ else [*row, "secrettag"] for row, open_ in zip(tags, public, strict=True)]
    return pa.table({
        "post_id": [f"p{i}" for i in range(num_posts)], "public": public,
        "image": pa.array([b""] * num_posts, pa.binary()),
        "hashtags": pa.array(tags, pa.list_(pa.string())),
    })  # fmt: skip


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("posts") / "posts.parquet"
    pq.write_table(some_posts(), path, row_group_size=90)
    return path


@pytest.fixture(scope="module")
def training(posts: Path) -> list[list[str]]:
    """Tags of the posts that count, read without our readers."""
    table = pq.read_table(posts)
    keep = table["public"].to_numpy() & ~held_out(post_keys(table["post_id"]))
    rows = table["hashtags"].filter(pa.array(keep)).to_pylist()
    return [[tag for tag in row if tag is not None] for row in rows]


@pytest.fixture(scope="module")
def vocabulary(posts: Path, ray_session: None) -> Vocabulary:
    return build_vocabulary(PostSource.open(posts), VocabularyConfig())


def naive_labels(vocabulary: Vocabulary, tags: list[str]) -> set[int]:
    """Labels of a post by their definition."""
    decisions = vocabulary.decisions.to_pylist()
    label = {row["normalised"]: row["label_id"] for row in decisions}
    found = {label[normalise(tag)] for tag in tags} - {None}
    rows = vocabulary.labels.to_pylist()
    if vocabulary.specificity != "drop_ancestors":
        return found
    above = {wnid for one in found for wnid in rows[one]["parents"]}
    return {one for one in found if rows[one]["wnid"] not in above}


def test_counts_equal_a_naive_recount(vocabulary: Vocabulary, training: list[list[str]]) -> None:
    assert vocabulary.meta["posts"] == len(training)
    recounted(vocabulary, training)
    counts = Counter(one for tags in training for one in naive_labels(vocabulary, tags))
    np.testing.assert_allclose(vocabulary.frequencies()[0], counts[0] / len(training))


def test_every_hashtag_has_one_decision(vocabulary: Vocabulary, training: list[list[str]]) -> None:
    counts = Counter(tag for tags in training for tag in set(tags))
    rows = vocabulary.decisions.to_pylist()
    assert {row["hashtag"]: row["posts"] for row in rows} == counts
    assert len(rows) == len(counts)
    assert all(row["reason"] and row["rule"] for row in rows)
    reasons = {row["hashtag"]: row["reason"] for row in rows}
    assert reasons["#BrownBear"] == "names n02132136 (brown bear)"
    assert reasons["#🐶"] == "nothing left after normalisation"
    assert reasons["girl"] == "person noun (policy: objects only)"
    assert "secrettag" not in reasons


def test_hashtags_of_held_out_posts_alone_have_a_decision_but_no_count(tmp_path: Path) -> None:
    table = some_posts()
    out = held_out(post_keys(table["post_id"])) & table["public"].to_numpy()
    tags = [
        [*row, "heldoutdogs", "dogsofinstagram"] if kept else row
        for row, kept in zip(table["hashtags"].to_pylist(), out, strict=True)
    ]
    pq.write_table(table.set_column(3, "hashtags", pa.array(tags)), tmp_path / "posts.parquet")
    source = PostSource.open(str(tmp_path / "posts.parquet"))
    rows = build_vocabulary(source, VocabularyConfig()).decisions.to_pylist()
    found = {row["hashtag"]: row for row in rows}
    assert found["heldoutdogs"]["posts"] == found["dogsofinstagram"]["posts"] == 0
    assert found["dogsofinstagram"]["label_id"] == found["#Dog"]["label_id"]
    assert found["heldoutdogs"]["label_id"] is None


def test_synonyms_are_one_label(vocabulary: Vocabulary) -> None:
    labels = {row["name"]: row for row in vocabulary.labels.to_pylist()}
    assert set(labels["brown bear"]["hashtags"]) == {"brownbear", "ursusarctos"}
    assert set(labels["dog"]["hashtags"]) == {"dog", "dogs", "instadog"}
    assert labels["animal"]["information_content"] < labels["dog"]["information_content"]
    assert labels["dog"]["information_content"] < labels["beagle"]["information_content"]


def test_labels_run_by_posts_then_wnid(vocabulary: Vocabulary) -> None:
    rows = vocabulary.labels.to_pylist()
    assert [row["label_id"] for row in rows] == list(range(len(rows)))
    assert rows == sorted(rows, key=lambda row: (-row["posts"], row["wnid"]))


@pytest.fixture
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of some ten posts: a few hundred posts are many of them."""
    monkeypatch.setattr(corpora, "SHARE_POSTS", 10)


ROWS = st.lists(st.lists(st.sampled_from([tag for tag in TAGS if tag]), max_size=5), min_size=30,
                max_size=60)  # fmt: skip


@pytest.mark.usefixtures("small_shares")
@settings(max_examples=4, suppress_health_check=list(HealthCheck))  # each builds twice
@given(rows=ROWS, chance=st.randoms(use_true_random=False), row_group=st.integers(3, 40),
       policy=st.sampled_from(["drop_ancestors", "keep", "weight"]))  # fmt: skip
def test_neither_order_nor_cut_matters_and_counts_are_those_of_the_definition(
    rows: list[list[str]], chance: random.Random, row_group: int, policy: Specificity
) -> None:
    rows = [["dog"], *rows]
    order = chance.sample(range(len(rows)), len(rows))
    config = VocabularyConfig(min_posts=1, specificity=policy)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        found = built(Path(one), rows, range(len(rows)), 1000, config)
        moved = built(Path(other), rows, order, row_group, config)
    assert moved.labels.equals(found.labels)
    assert moved.decisions.equals(found.decisions)
    assert moved.fingerprint == found.fingerprint
    kept = ~held_out(post_keys(pa.array([f"p{number}" for number in range(len(rows))])))
    training = [tags for tags, stays in zip(rows, kept, strict=True) if stays]
    recounted(found, training)
    met = [row["hashtag"] for row in found.decisions.to_pylist()]
    assert sorted(met) == sorted({tag for tags in rows for tag in tags})


def built(
    folder: Path, rows: list[list[str]], order: Sequence[int], row_group: int,
    config: VocabularyConfig,
) -> Vocabulary:  # fmt: skip
    """The vocabulary of posts written in some order and cut into row groups."""
    table = pa.table({
        "post_id": [f"p{number}" for number in order], "public": [True] * len(rows),
        "hashtags": pa.array([rows[number] for number in order], pa.list_(pa.string())),
    })  # fmt: skip
    pq.write_table(table, folder / "posts.parquet", row_group_size=row_group)
    return build_vocabulary(PostSource.open(folder), config)


def recounted(vocabulary: Vocabulary, training: list[list[str]]) -> None:
    """The labels' posts are those of a naive recount."""
    per_post = [naive_labels(vocabulary, tags) for tags in training]
    counts = Counter(one for labels in per_post for one in labels)
    expected = [counts[one] for one in range(vocabulary.num_labels)]
    assert vocabulary.labels["posts"].to_pylist() == expected
    assert vocabulary.meta["labelled"] == sum(map(bool, per_post))


@pytest.mark.usefixtures("small_shares")
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.lists(st.sampled_from(["Dog", "dog", "cat", "tbt"]), max_size=4),
                     min_size=20, max_size=60))  # fmt: skip
def test_posts_with_both_tags_are_those_of_a_naive_count(rows: list[list[str]]) -> None:
    pairs = {(one, other) for one in ("dog", "cat") for other in ("dog", "cat", "tbt", "absent")}
    with TemporaryDirectory() as folder:
        source = PostSource.open(write(Path(folder) / "p.parquet", hashtags=pa.array(
            rows, pa.list_(pa.string()))), assume_public=True)  # fmt: skip
        kept = ~held_out(post_keys(pa.array([f"p{number}" for number in range(len(rows))])))
        found = _together(read_corpus(source), pairs)
    sets = [{normalise(t) for t in tags} for tags, stays in zip(rows, kept, strict=True) if stays]
    assert found == {pair: sum(set(pair) <= tags for tags in sets) for pair in pairs}


@pytest.mark.parametrize(
    ("friend", "wnid"), [("bird", "n02012849"), ("liftingdevice", "n03126707")]
)
def test_the_company_chooses_the_sense_of_a_corpus(tmp_path: Path, friend: str, wnid: str) -> None:
    rows = (
        [["crane", friend]] * 40
        + [["crane"]] * 40
        + [["bird"], ["liftingdevice"], *[["dog"]] * 9] * 40
    )
    vocabulary = built(tmp_path, rows, range(len(rows)), 1000, VocabularyConfig())
    decisions = {row["hashtag"]: row["label_id"] for row in vocabulary.decisions.to_pylist()}
    assert vocabulary.labels["wnid"][decisions["crane"]].as_py() == wnid


def test_posts_that_are_all_held_out_are_refused(tmp_path: Path) -> None:
    ids = pa.array([f"p{number}" for number in range(2_000)])
    out = ids.filter(pa.array(held_out(post_keys(ids))))
    table = pa.table({"post_id": out, "hashtags": [["crane", "bird"]] * len(out)})
    pq.write_table(table, tmp_path / "posts.parquet")
    source = PostSource.open(tmp_path, assume_public=True)
    with pytest.raises(DataError, match=r"no hashtag becomes a label .*fewer than 5 posts: 2"):
        build_vocabulary(source, VocabularyConfig())


def test_max_labels_recounts_what_is_left(posts: Path, training: list[list[str]]) -> None:
    cut = build_vocabulary(PostSource.open(posts), VocabularyConfig(max_labels=3))
    assert cut.num_labels == 3
    counts = Counter(one for tags in training for one in naive_labels(cut, tags))
    assert cut.labels["posts"].to_pylist() == [counts[one] for one in range(3)]
    assert "beyond the 3 most frequent labels" in cut.decisions["reason"].to_pylist()


def test_most_frequent_and_recount(
    vocabulary: Vocabulary, posts: Path, training: list[list[str]]
) -> None:
    cut = recount(vocabulary.most_frequent(4), read_corpus(PostSource.open(posts)))
    counts = Counter(one for tags in training for one in naive_labels(cut, tags))
    assert cut.labels["posts"].to_pylist() == [counts[one] for one in range(4)]


def test_published_hides_rare_hashtags(vocabulary: Vocabulary) -> None:
    counts = dict(zip(*vocabulary.decisions.select(["hashtag", "posts"]).to_pydict().values(),
                      strict=True))  # fmt: skip
    limit = sorted(counts.values())[len(counts) // 2]
    published = vocabulary.published(min_posts=limit)
    assert set(published.decisions["hashtag"].to_pylist()) == {
        tag for tag, posts in counts.items() if posts >= limit
    }
    shown = {tag for tags in published.labels["hashtags"].to_pylist() for tag in tags}
    assert shown <= set(published.decisions["normalised"].to_pylist())


def test_scope_imagenet(posts: Path) -> None:
    config = VocabularyConfig(scope="imagenet", min_posts=1)
    names = build_vocabulary(PostSource.open(posts), config).labels["name"].to_pylist()
    assert {"beagle", "brown bear", "red wine", "traffic light"} <= set(names)
    assert not {"dog", "animal"} & set(names)


def test_the_job_writes_a_vocabulary_that_loads(posts: Path, tmp_path: Path) -> None:
    job = VocabularyJob(posts=str(posts), out=str(tmp_path / "v"))
    result = main(job)
    loaded = Vocabulary.load(tmp_path / "v")
    assert result["labels"] == loaded.num_labels > 3
    assert result["fingerprint"] == loaded.fingerprint
    assert sum(result["by_reason"].values()) == result["hashtags"] == loaded.decisions.num_rows
    assert main(job) == result
    with pytest.raises(StateError, match="min_posts"):
        main(VocabularyJob(posts=str(posts), out=str(tmp_path / "v"), min_posts=2))


def test_saving_and_loading_change_nothing(vocabulary: Vocabulary, tmp_path: Path) -> None:
    vocabulary.save(Folder.at(tmp_path))
    loaded = Vocabulary.load(tmp_path)
    assert loaded.labels.equals(vocabulary.labels)
    assert loaded.decisions.equals(vocabulary.decisions)
    assert loaded.fingerprint == vocabulary.fingerprint


def write(path: Path, **columns: Any) -> str:
    ids = [f"p{i}" for i in range(len(columns["hashtags"]))]
    pq.write_table(pa.table({"post_id": ids, **columns}), path)
    return str(path)


def test_no_label_is_an_error_that_counts_the_reasons(tmp_path: Path) -> None:
    tags = pa.array([["love"], ["tbt", "girl"]] * 5, pa.list_(pa.string()))
    source = PostSource.open(write(tmp_path / "p.parquet", hashtags=tags), assume_public=True)
    with pytest.raises(DataError, match=r"no hashtag becomes a label.*no noun synset: 1"):
        build_vocabulary(source, VocabularyConfig())


def test_rare_labels_are_an_error_too(tmp_path: Path) -> None:
    tags = pa.array([["dog"], ["cat"], []] * 2, pa.list_(pa.string()))
    source = PostSource.open(write(tmp_path / "p.parquet", hashtags=tags), assume_public=True)
    with pytest.raises(DataError, match="fewer than 5 posts: 2"):
        build_vocabulary(source, VocabularyConfig())


def test_posts_must_be_stated_public(tmp_path: Path) -> None:
    tags = pa.array([["dog"]], pa.list_(pa.string()))
    path = write(tmp_path / "p.parquet", hashtags=tags)
    with pytest.raises(PrivacyError):
        main(VocabularyJob(posts=path, out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("setting", [{"max_labels": 0}, {"min_posts": 0}])
def test_settings_below_one_are_refused(setting: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(setting))} = 0: at least 1"):
        VocabularyConfig(**setting)


def alias_posts() -> pa.Table:
    """#doggo and #awooo without a noun: one looks like #dog, both stand beside it; #tbt beside
    anything; #zorbling beside one label of many."""
    draw = random.Random(0)
    rows: list[list[str]] = []
    for number in range(3000):
        thing = draw.choice(["dog", "cat", "pizza", "beach", "car", "tree"])
        tags = [thing, draw.choice(["sky", "flower", "love"])]
        if thing == "dog":
            tags += ["doggo"] * (number % 3 == 0) + ["awooo"] * (number % 2)
        if thing == "tree":
            tags = ["zorbling", "treee"] if number % 2 else tags
        rows.append([*tags, "tbt"] if number % 4 == 0 else tags)
    return pa.table({
        "post_id": [f"p{i}" for i in range(len(rows))], "public": [True] * len(rows),
        "hashtags": rows,
    })  # fmt: skip


@pytest.fixture(scope="module")
def aliased(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Path:
    folder = tmp_path_factory.mktemp("aliases")
    pq.write_table(alias_posts(), folder / "posts.parquet", row_group_size=500)
    main(VocabularyJob(posts=str(folder / "posts.parquet"), out=str(folder / "v")))
    return folder / "v"


def test_aliases_are_found_by_spelling_and_by_company(aliased: Path) -> None:
    vocabulary = Vocabulary.load(aliased)
    rows = {row["hashtag"]: row for row in vocabulary.decisions.to_pylist()}
    dog = rows["dog"]["label_id"]
    assert (rows["doggo"]["label_id"], rows["doggo"]["rule"]) == (dog, "spelled alike")
    assert (rows["awooo"]["label_id"], rows["awooo"]["rule"]) == (dog, "same company")
    assert rows["tbt"]["label_id"] is None
    assert "spread 0.9" in rows["tbt"]["reason"]
    assert {"doggo", "awooo"} <= set(vocabulary.labels["hashtags"][dog].as_py())
    table = alias_posts()
    kept = table.filter(pa.array(~held_out(post_keys(table["post_id"]))))
    recounted(vocabulary, kept["hashtags"].to_pylist())


def test_explaining_tells_every_step(aliased: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tags = ("#Doggo", "dogsofinstagram", "tbt", "crane", "🐶", "treeeshoes")
    found = explain(Explain(vocabulary=str(aliased), hashtags=tags))
    steps = {tag: {step.name: step.text for step in steps} for tag, steps in found.items()}
    assert "spelled alike" in steps["#Doggo"]["decision"]
    assert "(n02084071)" in steps["#Doggo"]["label"]
    assert "...ofinstagram" in steps["dogsofinstagram"]["match"]
    assert "not have it" in steps["dogsofinstagram"]["label"]
    assert "spread 0.9" in steps["tbt"]["usage"]
    assert "a candidate" in steps["crane"]["sense"]
    assert steps["🐶"]["normalised"] == "nothing is left"
    assert steps["treeeshoes"]["words"] == "treee shoes"  # a word of the corpus, none of English
    assert words.load().split("treeeshoes") == ["tree", "e", "shoes"]
    assert "#Doggo" in capsys.readouterr().out


def test_explaining_needs_a_vocabulary_and_a_hashtag(aliased: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a vocabulary"):
        explain(Explain(vocabulary=str(tmp_path), hashtags=("dog",)))
    with pytest.raises(ConfigError, match="name one or more"):
        Explain(vocabulary=str(aliased), hashtags=())


def test_policies_change_labels_weights_and_fingerprint(
    posts: Path, vocabulary: Vocabulary
) -> None:
    source = PostSource.open(posts)
    kept = build_vocabulary(source, VocabularyConfig(specificity="weight"))
    assert kept.fingerprint != vocabulary.fingerprint
    assert vocabulary.target_weights() is None
    weights = kept.target_weights()
    assert weights is not None
    assert weights.min() > 0
    by_name = {row["name"]: row["posts"] for row in kept.labels.to_pylist()}
    assert (
        by_name["animal"] > {r["name"]: r["posts"] for r in vocabulary.labels.to_pylist()}["animal"]
    )
    again = recount(vocabulary.with_specificity("weight"), read_corpus(source))
    assert again.labels.equals(kept.labels)


def test_odd_hashtags_get_their_decision(tmp_path: Path) -> None:
    odd = [
        "x" * 10_000,
        "שקיעה",
        "غروب_الشمس",
        "e\u0301te\u0301",
        "\u0301",
        "👩‍👩‍👧",
        "  ",
        "ＤＯＧ",
    ]
    tags = [["dog", *odd, None] if number % 2 else None for number in range(40)]
    path = write(tmp_path / "p.parquet", hashtags=pa.array(tags, pa.list_(pa.string())))
    source = PostSource.open(path, assume_public=True)
    vocabulary = build_vocabulary(source, VocabularyConfig())
    rows = {row["hashtag"]: row for row in vocabulary.decisions.to_pylist()}
    assert set(rows) == {"dog", *odd}
    assert all(row["reason"] for row in rows.values())
    assert rows["x" * 10_000]["reason"] == "longer than 100 letters"
    assert rows["ＤＯＧ"]["label_id"] == rows["dog"]["label_id"] == 0
    assert vocabulary.meta["posts"] == int((~held_out(post_keys(pa.array(
        [f"p{i}" for i in range(40)])))).sum())  # fmt: skip


@pytest.mark.parametrize("column", [pa.array([1] * 9), pa.array(["dog"] * 9), pa.array([[1]] * 9)])
def test_hashtags_of_another_type_are_refused(column: pa.Array, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="hashtags"):
        PostSource.open(write(tmp_path / "p.parquet", hashtags=column), assume_public=True)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("labels.parquet", None, "labels.parquet: cannot be read"),
        ("decisions.parquet", b"PAR1 cut off", "decisions.parquet: cannot be read"),
        ("vocabulary.json", b'{"posts": 3', "vocabulary.json: is no JSON"),
        ("vocabulary.json", b"[]", "vocabulary.json: lacks the number of posts"),
    ],
)
def test_damaged_vocabularies_are_refused(
    vocabulary: Vocabulary, tmp_path: Path, file: str, content: bytes | None, said: str
) -> None:
    vocabulary.save(Folder.at(tmp_path))
    (tmp_path / file).unlink() if content is None else (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=said):
        Vocabulary.load(tmp_path)
