"""HashNeXt: hashtag-supervised pretraining of image taggers on Ray."""

import os

# `uv run` would make Ray rebuild a virtual environment for every session (4.8 s instead of 0.2 s
# to the first task) and start workers in another folder. Ray reads this switch while it is being
# imported, so the first import of the library is the only safe place for it.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

# MLflow reports its use to its makers unless told otherwise before it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# Images are worked on by many processes, each of which needs one thread; OpenCV would start one a
# core in each, which costs more than it gains on pictures this small.
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
