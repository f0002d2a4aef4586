"""The house keeps its walls: what has to run without Ray and MLflow imports neither of them."""

import subprocess
import sys

FREE = (
    "hashnext.training.step", "hashnext.training.loop", "hashnext.models.resnext",
    "hashnext.models.initial_weights", "hashnext.evaluation.own_head",
    "hashnext.images.region", "hashnext.images.fingerprint", "hashnext.inference.predictor",
    "hashnext.shards.order", "hashnext.shards.ledger", "hashnext.shards.manifest",
)  # fmt: skip


def test_training_and_inference_import_no_ray_and_no_mlflow() -> None:
    code = f"import sys, {', '.join(FREE)}; print({{'ray', 'mlflow'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_decodes_in_ray_tasks_imports_no_torch() -> None:
    modules = "hashnext.evaluation.crops, hashnext.shards.loader"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
