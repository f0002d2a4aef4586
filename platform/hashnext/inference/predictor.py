"""From image bytes to hashtags with confidences: one class for batch jobs and for the endpoint.

No Ray and no HTTP; the caller decides about batches and threads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hashnext.images.crop import centre_crop
from hashnext.images.decode import RGB, DecodeLimits, decode
from hashnext.inference.tag import Tag, label_tags
from hashnext.models import activation
from hashnext.models.resnext import ResNeXt
from hashnext.registry.package import ModelPackage

LIMITS = DecodeLimits(max_bytes=20 << 20, max_pixels=50_000_000)
"""A phone's 48-megapixel photo passes; 50 million pixels are 150 MB once decoded."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A tag, and how sure the model is of it."""

    tag: Tag
    confidence: float
    """Calibrated probability of the label, 0 to 1. After a softmax those of all labels of an image
    add up to 1; under sigmoids each label stands for itself."""
    confident: bool | None
    """True above the label's threshold, where held-out posts promise the package's precision; None
    where the package has no thresholds."""


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A model package ready to tag images; safe to use from several threads.

    Example:
        predictor = Predictor.load("models:/hashnext@champion")
        [suggestions] = predictor.tags([Path("bear.jpg").read_bytes()])
        print(suggestions[0].tag.hashtag, suggestions[0].confidence)
    """

    package: ModelPackage
    model: ResNeXt
    labels: tuple[Tag, ...]
    limits: DecodeLimits

    @classmethod
    def load(cls, location: str, limits: DecodeLimits = LIMITS) -> "Predictor":
        """Load a package from a folder, a URI or `models:/name@alias`.

        Raises:
            DataError: no package is there, or it is corrupted.
            StateError: the registry knows no such model.
        """
        package = ModelPackage.open(location)
        model = package.build().to(memory_format=torch.channels_last)
        return cls(
            package=package, model=model, labels=label_tags(package.vocabulary), limits=limits
        )

    def tags(
        self, images: Sequence[bytes], top_k: int = 10, min_confidence: float = 0.0
    ) -> list[list[Suggestion]]:
        """Suggestions for each image, the surest first.

        Args:
            images: encoded bytes, in any format that Pillow reads.
            top_k: at most so many per image.
            min_confidence: none below this probability.

        Raises:
            ImageRejected: an image cannot be decoded within the limits.
        """
        if not images:
            return []
        probabilities = self.probabilities(np.stack([self.prepare(image) for image in images]))
        return [self.suggestions(row, top_k, min_confidence) for row in probabilities]

    def prepare(self, image: bytes) -> RGB:
        """Decode upright and crop the centre: uint8 (size, size, 3). Raises ImageRejected."""
        preprocess = self.package.preprocess
        short_side = math.ceil(preprocess.size / preprocess.crop_fraction)
        pixels = decode(image, self.limits, min_side=short_side)
        return centre_crop(pixels, preprocess.size, preprocess.crop_fraction)

    @torch.inference_mode()
    def probabilities(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """At the package's temperature: uint8 (N, size, size, 3) to float32 (N, labels)."""
        images = self.package.preprocess.normalise(torch.from_numpy(batch))
        calibration = self.package.calibration
        logits = self.model(images) / calibration["temperature"]
        found: NDArray[np.float32] = activation.probabilities(
            logits, calibration.get("activation", "softmax")
        ).numpy()
        return found

    def suggestions(
        self, probabilities: NDArray[np.float32], top_k: int, min_confidence: float
    ) -> list[Suggestion]:
        """The `top_k` likeliest labels of one image, from its float32 (labels,) probabilities."""
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        return [
            self._suggestion(label, float(probabilities[label]))
            for label in best.tolist()
            if probabilities[label] >= min_confidence
        ]

    def _suggestion(self, label: int, probability: float) -> Suggestion:
        thresholds, confident = self.package.calibration.get("thresholds"), None
        if thresholds is not None:
            confident = thresholds[label] is not None and probability >= thresholds[label]
        return Suggestion(tag=self.labels[label], confidence=probability, confident=confident)
