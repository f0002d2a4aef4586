"""ResNeXt (Xie et al., CVPR 2017) as the hashtag paper used it.

torchvision's own `ResNet` does the work, so parameter names are torchvision's and published
weights load. What is added: a configuration, a stem for small images, a head for many labels,
quicker 1x1 convolutions on CPUs, batch norms that take a single pixel, and `features`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torchvision.models.resnet import Bottleneck, ResNet

from hashnext.errors import ConfigError

FEATURES = 512 * Bottleneck.expansion
"""Width of the pooled features, 2048."""


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
    head_rank: int | None = None
    """Factorise the label head: 2048 features to so many, and those to the labels. For vocabularies
    so large that the head takes a good part of a step; None leaves it whole."""

    def __post_init__(self) -> None:
        for key in ("groups", "width_per_group"):
            if getattr(self, key) < 1:
                raise ConfigError(f"model.{key}", getattr(self, key), "must be at least 1")
        if min(self.blocks) < 1:
            raise ConfigError("model.blocks", self.blocks, "every stage needs at least one block")
        if self.head_rank is not None and not 1 <= self.head_rank <= FEATURES:
            raise ConfigError("model.head_rank", self.head_rank, f"must lie in 1..{FEATURES}")


class FactorisedHead(nn.Linear):
    """A linear layer whose matrix is the product of two: (labels, rank) times (rank, features)."""

    def __init__(self, rank: int, num_labels: int) -> None:
        super().__init__(rank, num_labels)
        self.reduce = nn.Linear(FEATURES, rank, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Logits, float (N, labels), of features (N, 2048)."""
        return super().forward(self.reduce(features))


class Pointwise(nn.Conv2d):
    """A 1x1 convolution without bias, which on a CPU is computed as the matrix product that it is.

    The convolutions of oneDNN take longer where maps are small or the stride is 2: a step of
    ResNeXt-50 at 64 px takes no longer than timm's, with all that ours does besides
    (`tests.benchmarks.train_step`: 1.00 and 1.08 times its rate). Images should be channels last.
    """

    @classmethod
    def of(cls, conv: nn.Conv2d) -> "Pointwise":
        """The same convolution, with the same parameter."""
        channels = conv.in_channels, conv.out_channels
        found = cls(*channels, 1, (conv.stride[0], conv.stride[1]), bias=False, device="meta")
        found.weight = conv.weight
        return found

    def forward(self, images: Tensor) -> Tensor:
        """float (N, out, H / stride, W / stride) of (N, in, H, W)."""
        if images.device.type != "cpu":
            return super().forward(images)
        down, right = self.stride
        picked = images[:, :, ::down, ::right].permute(0, 2, 3, 1)
        # Not `linear` of four dimensions: without gradients that is very slow in bfloat16.
        pixels = picked.reshape(-1, self.in_channels) @ self.weight.flatten(1).t()
        return pixels.view(*picked.shape[:3], self.out_channels).permute(0, 3, 1, 2)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that takes one value a channel: one image whose map is a single pixel.

    Small networks meet it at 32 px where a worker's share of a run's last batch is one image. One
    value has no variance, and torch refuses it; here the running statistics normalise it, and stay
    as they are.
    """

    def forward(self, images: Tensor) -> Tensor:
        """float (N, C, H, W) of the same."""
        if self.training and images.numel() == images.shape[1]:
            statistics = self.running_mean, self.running_var
            return batch_norm(images, *statistics, self.weight, self.bias, eps=self.eps)
        return super().forward(images)


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
            norm_layer=BatchNorm,
        )
        if config.small_stem:
            self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
            self.maxpool = nn.Identity()
        if config.head_rank is not None:
            self.fc: nn.Linear = FactorisedHead(config.head_rank, num_labels)
        for parent in list(self.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1):
                    setattr(parent, name, Pointwise.of(child))

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
