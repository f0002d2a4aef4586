"""Which labels of a vocabulary stay, and how many posts each has.

Every count of a label is that of the posts that training streams: public, not held out, and with
the vocabulary's policy on hypernyms.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashnext.errors import DataError
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.corpus import Corpus
from hashnext.hashtags.count import CountLabels, tally
from hashnext.hashtags.vocabulary import LABELS, Vocabulary


def drop_rare(vocabulary: Vocabulary, config: VocabularyConfig) -> Vocabulary:
    """Leave out the labels that too few posts can carry, those with a more specific one included.

    The posts are not asked: those of all hashtags of a label and of the labels below it are added
    up, which is never too few.
    """
    _refuse_empty(vocabulary)
    named = vocabulary.decisions.filter(vocabulary.decisions["label_id"].is_valid())
    view, size = vocabulary.view(), vocabulary.num_labels
    own = np.bincount(named["label_id"].to_numpy(), named["posts"].to_numpy(), size)
    below = np.bincount(view.ancestors, np.repeat(own, np.diff(view.ancestor_offsets)), size)
    kept = np.flatnonzero(own + below >= config.min_posts).tolist()
    return vocabulary.select(kept, _rare(config))


def cut(vocabulary: Vocabulary, corpus: Corpus, config: VocabularyConfig) -> Vocabulary:
    """Leave out rare labels, then all but the most frequent, until the counts agree.

    Needs a Ray session. Labels are numbered by posts, then wnid, then name.

    A label that goes gives its posts back to its hypernyms there, so counts only rise from one
    round to the next and the rounds come to an end.
    """
    while True:
        _refuse_empty(vocabulary)
        vocabulary = counted(vocabulary, corpus)
        enough = vocabulary.labels["posts"].to_numpy() >= config.min_posts
        vocabulary = _in_order(vocabulary)
        if not enough.all():
            alone = f"{_rare(config)} without a more specific label"
            vocabulary = vocabulary.select(range(int(enough.sum())), alone)
        elif config.max_labels and config.max_labels < vocabulary.num_labels:
            vocabulary = vocabulary.most_frequent(config.max_labels)
        else:
            return vocabulary


def _rare(config: VocabularyConfig) -> str:
    return f"fewer than {config.min_posts} posts"


def counted(vocabulary: Vocabulary, corpus: Corpus) -> Vocabulary:
    """The vocabulary with its posts and information content.

    Information content is -log2 of the share of posts with the label or one below it (Resnik 1995).
    """
    counts = tally(corpus, CountLabels(vocabulary.view()))
    posts, covered = counts["posts"].to_numpy(), counts["covered"].to_numpy()
    num_posts, labelled = int(posts[-1]), int(covered[-1])  # the null key sorts last
    posts, covered = posts[:-1], covered[:-1]
    content = -np.log2(np.maximum(covered, 1) / max(num_posts, 1))
    names = vocabulary.labels.column_names
    columns = {name: vocabulary.labels[name] for name in names}
    columns |= {"posts": pa.array(posts), "information_content": pa.array(content, pa.float32())}
    labels = pa.table([columns[name] for name in names], LABELS)
    meta = vocabulary.meta | {"posts": num_posts, "labelled": labelled}
    return replace(vocabulary, labels=labels, meta=meta)


def _in_order(vocabulary: Vocabulary) -> Vocabulary:
    by_posts = [("posts", "descending"), ("wnid", "ascending"), ("name", "ascending")]
    return vocabulary.select(pc.sort_indices(vocabulary.labels, sort_keys=by_posts).to_pylist(), "")


def _refuse_empty(vocabulary: Vocabulary) -> None:
    if not vocabulary.num_labels:
        reasons = Counter(vocabulary.decisions["reason"].to_pylist()).most_common(5)
        listed = "; ".join(f"{reason}: {count}" for reason, count in reasons)
        raise DataError(f"no hashtag becomes a label ({listed or 'no hashtags at all'})")


def recount(vocabulary: Vocabulary, corpus: Corpus) -> Vocabulary:
    """The same labels with the counts of the posts of a corpus, renumbered by them."""
    return _in_order(counted(vocabulary, corpus))
