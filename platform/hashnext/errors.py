"""Every error that a user can cause, in one tree.

    HashNextError
    ├── ConfigError     a setting is wrong: names the key, the value and the rule
    ├── DataError       an input cannot be used as it is
    │   ├── SchemaError     a column is missing or has the wrong type
    │   └── PrivacyError    posts are not stated public
    └── StateError      a folder or store is in a state that forbids the request

Jobs print the message and exit with status 2. A programming mistake of ours is an `assert`.
"""


class HashNextError(ValueError):
    """Base class of the mistakes that a user can make and mend."""


class ConfigError(HashNextError):
    """A setting breaks its rule."""

    def __init__(self, key: str, value: object, rule: str) -> None:
        super().__init__(f"{key} = {value!r}: {rule}")


class DataError(HashNextError):
    """An input cannot be used as it is."""


class SchemaError(DataError):
    """A column is missing or has the wrong type."""


class PrivacyError(DataError):
    """The posts are not stated to be public."""


class StateError(HashNextError):
    """A folder or store is in a state that forbids the request."""


class Terminated(Exception):  # noqa: N818 - no mistake
    """The job was asked to end, and has kept what it did."""
