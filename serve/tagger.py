"""The Ray Serve deployment: HTTP in, tags out, requests gathered into batches for the network."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
from numpy.typing import NDArray
from ray import serve as ray_serve

from hashnext.images.decode import RGB
from hashnext.inference.predictor import Predictor
from serve import errors
from serve.schema import ErrorResponse, Health, ModelOut, Options, TagOut, TagRequest, TagResponse
from serve.upload import read_upload

BATCH = 16
BATCH_WAIT_S = 0.005
MAX_ONGOING = 4 * BATCH
"""Requests that a replica holds at once; below BATCH, a batch could never fill."""
MAX_QUEUED = 256
"""Requests that wait in the proxy beyond that; more are answered 503."""
PAGE = Path(__file__).parent / "page"
CONTENT_SECURITY = "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'"

UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": Options.model_json_schema()
                | {
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        **Options.model_json_schema()["properties"],
                    },
                }
            },
            "application/json": {"schema": TagRequest.model_json_schema()},
        },
    }
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "Malformed JSON, base64 or multipart body."},
    413: {"model": ErrorResponse, "description": "Too many bytes."},
    415: {"model": ErrorResponse, "description": "Neither multipart/form-data nor JSON."},
    422: {"model": ErrorResponse, "description": "Not a sound image, or a field is wrong."},
}

app = FastAPI(
    title="HashNeXt",
    description="Suggests hashtags for a photo. The photo itself is sent, as a file or in base64; "
    "addresses of photos are not accepted, so that nobody can have this server fetch from places "
    "that only it can reach. Photos are not kept.",
)
errors.install(app)


def _file(name: str) -> FileResponse:
    # Stands above the class, because `ingress` pickles the routes with what they find by then.
    headers = {"Content-Security-Policy": CONTENT_SECURITY, "X-Content-Type-Options": "nosniff"}
    return FileResponse(PAGE / name, headers=headers)


@ray_serve.deployment(
    name="Tagger",
    max_ongoing_requests=MAX_ONGOING,
    max_queued_requests=MAX_QUEUED,
    graceful_shutdown_wait_loop_s=0.2,
)
@ray_serve.ingress(app)
class Tagger:
    """One replica: one model, one forward pass at a time."""

    def __init__(self, model: str, location: str, version: str | None) -> None:
        self.predictor = Predictor.load(location)
        self.model = ModelOut(
            name=model,
            version=version,
            fingerprint=self.predictor.package.fingerprint,
            labels=len(self.predictor.labels),
        )

    @app.post("/v1/tags", openapi_extra=UPLOAD_BODY, responses=REFUSALS)
    async def tags(self, request: Request) -> TagResponse:
        """Hashtags for a photo, the surest first."""
        upload = await read_upload(request, self.predictor.limits.max_bytes)
        crop = await asyncio.to_thread(self.predictor.prepare, upload.image)
        probabilities = await self.probabilities(crop)
        found = self.predictor.suggestions(
            probabilities, upload.options.top_k, upload.options.min_confidence
        )
        return TagResponse(
            tags=[TagOut.of(suggestion) for suggestion in found],
            model=self.model,
            request_id=errors.request_id(request),
        )

    @app.get("/healthz")
    async def health(self) -> Health:
        """Which model answers here."""
        return Health(model=self.model)

    @app.get("/", include_in_schema=False)
    async def page(self) -> FileResponse:
        """The page where a photo dropped in gets its hashtags."""
        return _file("index.html")

    @app.get("/style.css", include_in_schema=False)
    async def style(self) -> FileResponse:
        """Looks of the page."""
        return _file("style.css")

    @app.get("/page.js", include_in_schema=False)
    async def script(self) -> FileResponse:
        """Behaviour of the page."""
        return _file("page.js")

    @ray_serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_S)
    async def probabilities(self, crops: list[RGB]) -> list[NDArray[np.float32]]:
        """Forward pass of the crops of several requests, off the event loop."""
        return list(await asyncio.to_thread(self.predictor.probabilities, np.stack(crops)))
