"""Where bfloat16 pays."""

from contextlib import AbstractContextManager

import torch


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 where the hardware multiplies it natively; emulated, it would be slower."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = bool(torch.cpu._is_avx512_bf16_supported())  # torch 2.11 has no public one
    return torch.autocast(device.type, torch.bfloat16, enabled=native)
