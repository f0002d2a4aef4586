"""The kinds that reasons of decisions fall into, for counting them."""

import re

LABEL = "label"
_OF_A_LABEL = re.compile("(names|stands with|coherent) ")
_PARTICULARS = re.compile("; spread .*")


def kind(reason: str) -> str:
    """A reason without what it says of the single hashtag; `label` where it has one."""
    return LABEL if _OF_A_LABEL.match(reason) else _PARTICULARS.sub("", reason)
