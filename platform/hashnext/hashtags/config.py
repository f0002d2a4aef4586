"""The settings of a vocabulary."""

from dataclasses import dataclass
from typing import Literal

import tyro

from hashnext.errors import ConfigError
from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags.entries import Entries, expanded
from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.reading import Reader
from hashnext.hashtags.view import DEFAULT_SPECIFICITY, Specificity


@dataclass(frozen=True, kw_only=True)
class VocabularyConfig:
    """Which labels a vocabulary holds."""

    scope: Literal["wordnet", "imagenet"] = "wordnet"
    """wordnet: any noun that a picture can show; imagenet: only ILSVRC's, at most 997 labels."""
    max_labels: int | None = None
    """Keep at most so many labels, those on most posts; all when absent."""
    min_posts: int = 5
    """Leave out labels on fewer training posts; tags on fewer are not split into words."""
    specificity: Specificity = DEFAULT_SPECIFICITY
    """What becomes of a label beside its hyponym on one post: drop_ancestors leaves the hypernym
    out; keep shares the target evenly; weight shares it by information content."""
    allow: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Hashtag or wnid to let in whatever the visual rules say, unless it is a person; @PATH stands
    for the lines of a text file. Repeat it for more."""
    deny: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Hashtag or wnid to leave out, written as for allow."""
    named_places: bool = False
    """Let named places in: #london, #alps."""
    nameless: bool = False
    """Make labels of frequent tags that WordNet has no noun for and that go with few labels. Some
    will be people."""

    def __post_init__(self) -> None:
        if self.max_labels is not None and self.max_labels < 1:
            raise ConfigError("max_labels", self.max_labels, "at least 1")
        if self.min_posts < 1:
            raise ConfigError("min_posts", self.min_posts, "at least 1")
        if self.nameless and self.scope == "imagenet":
            raise ConfigError(
                "nameless", True, "labels without a synset are outside scope imagenet"
            )
        for key in ("allow", "deny"):
            entries = expanded(key, getattr(self, key))
            Entries.of(key, entries, lexicons.load())
            object.__setattr__(self, key, entries)

    def reader(self, lexicon: Lexicon) -> Reader:
        """Reads tags as this vocabulary does."""
        return Reader(
            lexicon,
            only_ilsvrc=self.scope == "imagenet",
            allow=Entries.of("allow", self.allow, lexicon),
            deny=Entries.of("deny", self.deny, lexicon),
            named_places=self.named_places,
        )
