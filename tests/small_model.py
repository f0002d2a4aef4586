"""A network with batch norms and one bottleneck block that takes milliseconds."""

import torch
from flat_model import LABELS
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from hashnext.models.resnext import BatchNorm


class Small(nn.Module):
    """Logits, float (N, LABELS), of images, float (N, 3, H, W), H and W even."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = BatchNorm(8)
        self.layer1 = Bottleneck(8, 2, norm_layer=BatchNorm)
        self.fc = nn.Linear(8, LABELS)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.layer1(torch.relu(self.bn1(self.conv1(images))))
        return self.fc(maps.mean(dim=(2, 3)))
