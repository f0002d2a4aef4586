"""Asking a running endpoint from Python, with the standard library alone."""

import base64
import json
import urllib.request
from typing import Any

TIMEOUT_S = 60.0


def tag(url: str, image: bytes, top_k: int = 10) -> dict[str, Any]:
    """The answer of POST /v1/tags to one image.

    Args:
        url: address of the endpoint, such as http://127.0.0.1:8000.
        image: encoded image.
        top_k: at most so many tags.

    Raises:
        urllib.error.HTTPError: the endpoint refuses the image; its body says why.
    """
    body = {"image": base64.b64encode(image).decode(), "top_k": top_k}
    request = urllib.request.Request(
        f"{url}/v1/tags", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        return dict(json.load(response))
