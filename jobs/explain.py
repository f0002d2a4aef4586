"""Explain hashtags: every step from the hashtag as written to its label, with rules and scores."""

from dataclasses import dataclass

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hashnext import cli
from hashnext.errors import ConfigError
from hashnext.hashtags.explain import Step, explain
from hashnext.hashtags.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Explain:
    """Arguments of `uv run -m jobs.explain`."""

    hashtags: tyro.conf.Positional[tuple[str, ...]]
    """Hashtags, with or without #."""
    vocabulary: str
    """Folder of the vocabulary; local or a URI."""

    def __post_init__(self) -> None:
        if not self.hashtags:
            raise ConfigError("hashtags", (), "name one or more")


def main(job: Explain) -> dict[str, list[Step]]:
    """Print and return the steps of each hashtag."""
    vocabulary = Vocabulary.load(job.vocabulary)
    found = {hashtag: explain(vocabulary, hashtag) for hashtag in job.hashtags}
    for hashtag, steps in found.items():
        _show(hashtag, steps)
    return found


def _show(hashtag: str, steps: list[Step]) -> None:
    title = Text(f"#{hashtag.removeprefix('#')}", "bold")
    table = Table(title=title, title_justify="left", box=None, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    before = ""
    for step in steps:
        table.add_row("" if step.name == before else step.name, Text(step.text))
        before = step.name
    Console().print(table, "")


if __name__ == "__main__":
    cli.run(Explain, main, __doc__)
