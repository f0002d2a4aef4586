"""ResNeXt (Xie et al., CVPR 2017) as the hashtag paper used it.

torchvision's own `ResNet` does the work, so parameter names are torchvision's and published
weights load. What is added: a configuration, a stem for small images, and `features`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from hashnext.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ResNeXtConfig:
    """Shape of the network; the number of labels comes from the vocabulary."""

    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Bottleneck blocks in each of the four stages; (3, 4, 23, 3) is the 101-layer network."""
    groups: int = 32
    """Cardinality: groups of the 3x3 convolutions."""
    width_per_group: int = 4
    """Channels per group in the first stage; doubles with every stage."""
    small_stem: bool = False
    """Stem for images under 100 px: a 3x3 convolution of stride 1 and no max-pooling."""
    zero_init_residual: bool = True
    """Start the last batch norm of each block at zero (Goyal et al. 2017, section 5.1)."""

    def __post_init__(self) -> None:
        for key in ("groups", "width_per_group"):
            if getattr(self, key) < 1:
                raise ConfigError(f"model.{key}", getattr(self, key), "must be at least 1")
        if min(self.blocks) < 1:
            raise ConfigError("model.blocks", self.blocks, "every stage needs at least one block")


class ResNeXt(ResNet):  # type: ignore[misc]  # torchvision ships no types
    """torchvision's ResNet with bottleneck blocks, plus `features`."""

    def __init__(self, config: ResNeXtConfig, num_labels: int) -> None:
        super().__init__(
            Bottleneck,
            list(config.blocks),
            num_classes=num_labels,
            groups=config.groups,
            width_per_group=config.width_per_group,
            zero_init_residual=config.zero_init_residual,
        )
        if config.small_stem:
            self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
            self.maxpool = nn.Identity()

    def features(self, images: Tensor) -> Tensor:
        """Pooled features before the label head.

        Args:
            images: float (N, 3, H, W), normalised.

        Returns:
            float (N, 2048).
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return torch.flatten(self.avgpool(x), 1)


def build(config: ResNeXtConfig, num_labels: int) -> ResNeXt:
    """A freshly initialised network with `num_labels` outputs (logits)."""
    return ResNeXt(config, num_labels)
