"""Measure a network with its own label head, such as published weights on ImageNet's photos.

Nothing is trained: the images' labels are the numbers of the head's outputs. Writes result.json,
evaluation.png and predictions.parquet, one row an image; with `--leakage` also the accuracy that
counts images seen in training as wrong.
"""

from dataclasses import asdict, dataclass
from typing import Any

from hashnext import cli
from hashnext.errors import ConfigError
from hashnext.evaluation import own_head_plot
from hashnext.evaluation.baseline import PREDICTIONS
from hashnext.evaluation.features import BATCH
from hashnext.evaluation.labelled_folder import open_labelled
from hashnext.evaluation.lower_bound import Leaked
from hashnext.evaluation.own_head import Evaluation, evaluate_head
from hashnext.models.initial_weights import InitialWeights, network_of, read_weights
from hashnext.models.load_report import listed
from hashnext.models.preprocess import Preprocess
from hashnext.outputs import JobFolder
from hashnext.registry.lineage import INITIAL_WEIGHTS

PLOT = "evaluation.png"


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Arguments of the job."""

    initial_weights: str
    """Weights with their head: a file (.pth, .safetensors), a URI or an https address, or a model
    package."""
    images: str
    """Parquet with `image`, `label` and preferably `id`; or a folder with a folder of images for
    each class, named by its wnid; or, with --labels, one folder of images. The id of an image file
    is its path inside the folder."""
    out: str
    """Folder of the result, new or this job's own."""
    labels: str | None = None
    """Text file with a line an image: its wnid, in the order of the images' names, or the image's
    name and its wnid or the number of its output."""
    size: int = 224
    """Side of the square that the network gets, in pixels."""
    crop_fraction: float = 0.875
    """Share of the resized image's short side that the square covers: 224 of 256."""
    batch: int = BATCH
    """Images in a forward pass."""
    bf16: bool = False
    """Forward pass in bfloat16 where the hardware multiplies it natively; published figures are
    float32's."""
    leakage: str | None = None
    """Finished --out of a jobs.leakage that looked for these images in the shards that the weights
    were trained on."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ConfigError("batch", self.batch, "must be at least 1")


def main(job: Evaluate) -> dict[str, Any]:
    """Run the job and return its result."""
    preprocess = Preprocess(size=job.size, crop_fraction=job.crop_fraction)
    weights = read_weights(job.initial_weights)
    cli.print_table("weights", weights.origin | {"licence": weights.licence or "unknown"})
    images = open_labelled(job.images, weights.outputs, job.labels)
    lineage = weights.lineage or {INITIAL_WEIGHTS: weights.origin}
    leaked = Leaked.read(job.leakage, lineage, images.ids) if job.leakage else None
    settings = {key: value for key, value in asdict(job).items() if key not in ("out", "batch")}
    inputs = {"initial_weights": weights.source, "sha256": weights.sha256}
    folder = JobFolder.claim(
        job.out, "evaluate", settings | inputs | {"images_listing": images.listing}
    )
    if folder.finished:
        return cli.report(folder)
    with listed(folder.folder):
        network = network_of(weights)
    evaluation = evaluate_head(network, preprocess, images, batch=job.batch, bf16=job.bf16)
    scores = evaluation.scores
    folder.folder.write_table(PREDICTIONS, scores.predictions)
    result = _figures(weights, evaluation)
    if leaked is not None:
        result["leakage"] = leaked.figures(images.ids, scores.correct)
    folder.folder.write_bytes(PLOT, own_head_plot.plot(scores, result.get("leakage")))
    folder.finish(result)
    return cli.report(folder)


def _figures(weights: InitialWeights, evaluation: Evaluation) -> dict[str, Any]:
    scores = evaluation.scores
    return {
        "evaluation": {
            "top1": asdict(scores.top1),
            "top5": asdict(scores.top5),
            "mean_class_top1": asdict(scores.mean_class_top1),
        },
        "weights": weights.origin | {"num_labels": weights.num_labels, **asdict(weights.config)},
        "counts": {"images": len(scores.correct), "classes": len(scores.per_class)},
        "images": evaluation.images,
        "seconds": evaluation.seconds,
        "per_class": scores.per_class,
    }


if __name__ == "__main__":
    cli.run(Evaluate, main, __doc__)
