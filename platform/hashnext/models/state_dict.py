"""State dicts of ResNeXts from elsewhere: brought into torchvision's form, and what they describe.

timm names the parameters of its plain ResNeXts as torchvision does; its variants with another stem
or with squeeze-and-excitation are other networks, and their names show it.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hashnext.errors import DataError
from hashnext.models.resnext import ResNeXtConfig

REDUCE = "fc.reduce.weight"
"""What a factorised head multiplies the features by, (rank, 2048)."""
HEAD = ("fc.weight", "fc.bias", REDUCE)
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs keep the state dict in their checkpoints."""
PREFIXES = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name, in either order."""
_BLOCK = re.compile(r"layer([1-4])\.(\d+)\.")


def plain(loaded: object) -> dict[str, Tensor]:
    """The state dict in what was read: unwrapped, without prefixes, in float32.

    The counters of batch norm, which weights from before PyTorch 0.4.1 lack, are filled in.

    Raises:
        DataError: there is none.
    """
    names = _unwrapped(loaded)
    while prefix := next((p for p in PREFIXES if all(n.startswith(p) for n in names)), None):
        names = {name.removeprefix(prefix): value for name, value in names.items()}
    state = {name: _single(value) for name, value in names.items()}
    for name in [name for name in state if name.endswith(".running_var")]:
        counter = name.removesuffix("running_var") + "num_batches_tracked"
        state.setdefault(counter, torch.tensor(0))
    return state


def described(state: Mapping[str, Tensor]) -> tuple[ResNeXtConfig, int | None]:
    """Shape of the network that a state dict is of, and its number of labels.

    Returns:
        The configuration, and the outputs of the head `fc`; None without a head.

    Raises:
        DataError: it is no state dict of a ResNet with bottleneck blocks.
    """
    stem, grouped = (_shape(state, name) for name in ("conv1.weight", "layer1.0.conv2.weight"))
    found = {match.groups() for match in map(_BLOCK.match, state) if match}
    blocks = tuple(sum(stage == str(n) for stage, _ in found) for n in (1, 2, 3, 4))
    if not (len(stem) == len(grouped) == 4 and min(blocks)):
        raise DataError("not a ResNet's: no four stages of convolutions of images")
    head = state.get(HEAD[0])
    config = ResNeXtConfig(
        blocks=(blocks[0], blocks[1], blocks[2], blocks[3]),
        groups=grouped[0] // grouped[1],
        width_per_group=grouped[1],  # stage 1 has `groups` times so many channels
        small_stem=stem[-1] == 3,
        head_rank=state[REDUCE].shape[0] if REDUCE in state else None,
    )
    return config, None if head is None else head.shape[0]


def _unwrapped(loaded: object) -> dict[str, Any]:
    if isinstance(loaded, Mapping):
        for key in WRAPPERS:
            if isinstance(loaded.get(key), Mapping):
                return _unwrapped(loaded[key])
        if loaded and all(isinstance(value, Tensor) for value in loaded.values()):
            return {str(name): value for name, value in loaded.items()}
        held = ", ".join(map(str, list(loaded)[:5])) or "nothing"
        raise DataError(f"no state dict: holds {held}")
    raise DataError(f"no state dict: holds a {type(loaded).__name__}")


def _single(value: Tensor) -> Tensor:
    return value.detach().float() if value.is_floating_point() else value.detach()


def _shape(state: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    if name not in state:
        some = ", ".join(list(state)[:5])
        raise DataError(f"not a ResNeXt's: {name} is missing; there are {some}")
    return tuple(state[name].shape)
