"""How many bytes of tensors are alive at a time while something runs, with contents or without."""

import weakref
from collections.abc import Mapping
from typing import Any

from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors made inside that are still alive, and the most there ever were.

    It sees the backward pass too, and so what recomputed blocks hold in it.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation, and count what it returns."""
        given = {storage._cdata for storage in _storages((args, kwargs))}  # views are not new
        found = func(*args, **(kwargs or {}))
        for storage in _storages(found):
            if storage._cdata not in given | self.known:
                self._count(storage)
        return found

    def _count(self, storage: UntypedStorage) -> None:
        number, size = storage._cdata, storage.nbytes()
        self.known.add(number)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._release, number, size)

    def _release(self, number: int, size: int) -> None:
        self.known.discard(number)
        self.now -= size


def _storages(values: object) -> list[UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
