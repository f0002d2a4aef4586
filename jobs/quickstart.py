"""The whole pipeline in one go: posts, vocabulary, shards, pretrain, probe, sweep, registry, serve.

Without --posts it draws a small corpus of its own. At the end it asks the running endpoint to tag
a held-out image. Run again with the same settings, it keeps the stages that have finished.
"""

import io
import signal
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hashnext import cli, cluster, settings
from hashnext.errors import ConfigError
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.schema import Columns
from hashnext.recipes import recipe
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder, inside
from jobs import prepare, pretrain, register, synthesize, transfer, vocabulary
from serve import app, client
from tuning import sweep
from tuning.spaces import Space

RECIPE = "nano"
MODEL = "hashnext"
Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Quickstart:
    """Arguments of the job."""

    posts: str | None = None
    """Your posts; None draws a corpus."""
    probe_train: str | None = None
    """Labelled training images of the transfer probe; needed with --posts."""
    probe_test: str | None = None
    """Labelled test images of the transfer probe; needed with --posts."""
    out: str = "runs/quickstart"
    """Folder of all stages; a path."""
    num_posts: int = 3000
    """Posts to draw where there are no --posts."""
    images: int = 8_000
    """Length of the pretraining run, in images."""
    trial_images: int = 640
    """Length of each trial of the sweep, in images."""
    size: int = 96
    """Longest permitted short side of the stored images, in pixels."""
    port: int = 0
    """Port of the endpoint; 0 takes a free one."""
    serve: bool = False
    """Keep the endpoint up until Ctrl-C."""
    assume_public: bool = False
    """Say that all posts are public where the source has no `public` column."""
    columns: Columns = field(default_factory=Columns)
    """Names of the columns in the posts."""

    def __post_init__(self) -> None:
        for key in ("probe_train", "probe_test"):
            if (getattr(self, key) is None) != (self.posts is None):
                rule = "--posts, --probe-train and --probe-test go together"
                raise ConfigError(key.replace("_", "-"), getattr(self, key), rule)

    def at(self, stage: str) -> str:
        """Folder of a stage."""
        return inside(self.out, stage)


class Story:
    """Runs stages, prints a line for each, and keeps what they said for the report."""

    def __init__(self, out: str) -> None:
        self.out = Folder.at(out)
        self.lines: list[str] = []

    def stage(self, name: str, run: Callable[[], Result], line: Callable[[Result], str]) -> Result:
        """Run one stage; its tables go to NAME.log in the output folder."""
        said, started = io.StringIO(), time.monotonic()
        with redirect_stdout(said):
            result = run()
        self.out.write_bytes(f"{name}.log", said.getvalue().encode())
        self.tell(f"{name:<11} {line(result)}  [{time.monotonic() - started:.0f} s]")
        return result

    def tell(self, line: str) -> None:
        """Print a line and keep it."""
        print(line, flush=True)
        self.lines.append(line)


def main(job: Quickstart) -> None:
    """Run every stage and serve the result."""
    story, started = Story(job.out), time.monotonic()
    with cluster.session():
        own = () if job.posts is None else (job.probe_train or "", job.probe_test or "")
        job = _with_posts(job, story)
        _data(job, story, exclude=own)
        _model(job, story)
        _sweep(job, story)
        _register(job, story)
        with app.running(f"models:/{MODEL}@champion", job.port) as url:
            _ask(job, story, url)
            _report(story)
            print(f"report      {story.out.location_of('report.md')}")
            print(f"mlflow      {settings.tracking_uri()}")
            print(f"page        {url}")
            print(f"done in {time.monotonic() - started:.0f} s")
            if job.serve:
                print("serving until Ctrl-C", flush=True)
                signal.pause()


def _with_posts(job: Quickstart, story: Story) -> Quickstart:
    """The job with posts: the user's, or drawn ones."""
    if job.posts is not None:
        return job
    out = job.at("corpus")
    drawing = synthesize.Synthesize(out=out, num_posts=job.num_posts)
    story.stage(
        "synthesize", lambda: synthesize.main(drawing), lambda _: f"{job.num_posts:,} posts"
    )
    return replace(
        job,
        posts=inside(out, "posts.parquet"),
        probe_train=inside(out, "probe_train.parquet"),
        probe_test=inside(out, "probe_test.parquet"),
    )


def _data(job: Quickstart, story: Story, exclude: tuple[str, ...]) -> None:
    """Posts to a vocabulary and shards, without posts that show an image of the sets `exclude`.

    Drawn posts share no picture with the probe by construction, but their beaches look alike.
    """
    assert job.posts is not None
    shared: dict[str, Any] = {
        "posts": job.posts, "assume_public": job.assume_public, "columns": job.columns
    }  # fmt: skip
    tags = vocabulary.VocabularyJob(out=job.at("vocabulary"), **shared)
    images = prepare.Prepare(
        out=job.at("shards"), size=job.size,
        exclude_similar_to=exclude, **shared,
    )  # fmt: skip
    story.stage(
        "vocabulary",
        lambda: vocabulary.main(tags),
        lambda r: f"{r['labels']:,} labels from {r['hashtags']:,} hashtags",
    )
    story.stage(
        "prepare",
        lambda: prepare.main(images),
        lambda r: (
            f"{r['counts']['input_posts']:,} posts = {r['counts']['shard_rows']:,} shard rows "
            f"+ {r['counts']['quarantined']:,} quarantined"
        ),
    )


def _model(job: Quickstart, story: Story) -> None:
    """Pretrain, and measure beside the same network untrained."""
    config = recipe(RECIPE).shortened(job.images)
    run = pretrain.Pretrain(
        shards=job.at("shards"), vocabulary=job.at("vocabulary"), out=job.at("pretrain"),
        recipe=RECIPE, config=config,
    )  # fmt: skip
    story.stage("pretrain", lambda: pretrain.main(run), _pretrain_line)
    assert job.probe_train
    assert job.probe_test
    untrained = transfer.TransferJob(
        model=f"random:{RECIPE}", train=job.probe_train, test=job.probe_test,
        out=job.at("untrained"),
    )  # fmt: skip
    story.stage("untrained", lambda: transfer.main(untrained), _transfer_line)
    trained = replace(
        untrained, model=job.at("pretrain/model"), out=job.at("transfer"),
        baseline=job.at("untrained"),
    )  # fmt: skip
    story.stage("transfer", lambda: transfer.main(trained), _transfer_line)


def _sweep(job: Quickstart, story: Story) -> None:
    """Two vocabulary sizes and two resampling strengths."""
    assert job.probe_train
    assert job.probe_test
    labels = Vocabulary.load(job.at("vocabulary")).num_labels
    grid = Space(max_labels=(max(1, labels // 2), 0), alpha=(0.0, 0.5))
    search = sweep.Sweep(
        posts=job.at("shards"), shards=job.at("shards"), probe_train=job.probe_train,
        probe_test=job.probe_test, out=job.at("sweep"), recipe=RECIPE, images=job.trial_images,
        space=grid, name=MODEL,
    )  # fmt: skip
    story.stage(
        "sweep",
        lambda: sweep.main(search),
        lambda r: f"{len(r['trials'])} trials, best {r['best']}, top-1 {r['transfer']['top1']:.1%}",
    )


def _register(job: Quickstart, story: Story) -> None:
    """Make the pretrained model the champion."""
    entry = register.Register(
        model=job.at("pretrain/model"), name=MODEL, alias="champion", transfer=job.at("transfer")
    )
    story.stage("register", lambda: register.main(entry), lambda r: f"{r['model']} is {r['alias']}")


def _pretrain_line(result: Result) -> str:
    found = result["held_out"]
    gain = found["gain_over_baseline"]
    return (
        f"precision@1 {found['precision_at_1']:.1%} on {found['posts']:,} held-out posts, "
        f"commonest tag {found['baseline_precision_at_1']:.1%} "
        f"(gain {gain['mean']:+.1%}, 95 % interval {gain['low']:+.1%} to {gain['high']:+.1%}); "
        f"{result['counts']['posts_without_label']:,} posts without a label"
    )


def _transfer_line(result: Result) -> str:
    figure = result["transfer"]
    text = f"probe top-1 {figure['top1']:.1%} ({figure['low']:.1%} to {figure['high']:.1%})"
    if gain := result.get("over_baseline"):
        text += f", {gain['mean']:+.1%} over untrained ({gain['low']:+.1%} to {gain['high']:+.1%})"
    return text


def _report(story: Story) -> None:
    """Everything told so far, beside the leaderboard's plot."""
    text = "\n".join(["# HashNeXt quickstart", "", "```", *story.lines, "```", ""])
    story.out.write_bytes("report.md", f"{text}\n![leaderboard](sweep/leaderboard.png)\n".encode())


def _ask(job: Quickstart, story: Story, url: str) -> None:
    """Have the endpoint tag a held-out image of the shards."""
    post_id, image, written = _held_out_post(Folder.at(job.at("shards")))
    answer = client.tag(url, image)
    tags = ", ".join(f"{tag['hashtag']} {tag['confidence']:.0%}" for tag in answer["tags"][:5])
    story.tell(f"tags        post {post_id} (its own: {', '.join(written[:5])}) is tagged {tags}")


def _held_out_post(shards: Folder) -> tuple[str, bytes, list[str]]:
    """Id, image and hashtags of the first held-out post with hashtags."""
    for file in Manifest.read(shards).files:
        table = shards.read_table(file.name)
        tagged = np.array([bool(tags) for tags in table["hashtags"].to_pylist()])
        chosen = np.flatnonzero(held_out(post_keys(table["post_id"])) & tagged)
        if len(chosen):
            row = table.slice(int(chosen[0]), 1).to_pylist()[0]
            return row["post_id"], row["image"], row["hashtags"]
    raise ConfigError("posts", shards.location, "no held-out post with hashtags; bring more posts")


if __name__ == "__main__":
    cli.run(Quickstart, main, __doc__)
