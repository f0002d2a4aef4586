"""Read a photo and its options from a request body, never more of it than is allowed.

A body is refused by its declared length before any of it is read, and by its real length as soon
as it is passed. Nothing is written to disk.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from serve.errors import RequestError
from serve.schema import Options, TagRequest

ENVELOPE_BYTES = 64 << 10
"""Room for what surrounds the image: part headers, field names, options."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A photo to tag."""

    image: bytes
    options: Options


class _InMemoryParser(MultiPartParser):
    spool_max_size = 0
    """0: never roll an upload over to a file; somebody's photo has no business on the disk."""


async def read_upload(request: Request, max_bytes: int) -> Upload:
    """The photo in a multipart or JSON body.

    Args:
        request: body not yet read.
        max_bytes: largest image file.

    Raises:
        RequestError: 400 malformed, 413 too many bytes, 415 another media type, 422 a field is
            missing, unknown or out of range.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == "application/json":
        body = await _read_body(request, max_bytes * 4 // 3 + ENVELOPE_BYTES)
        upload = await asyncio.to_thread(_from_json, body)
    elif media_type == "multipart/form-data":
        body = await _read_body(request, max_bytes + ENVELOPE_BYTES)
        upload = await _from_multipart(request, body)
    else:
        raise RequestError(
            415, "unsupported_media_type",
            f"content type {media_type or 'missing'!r}: send multipart/form-data with a file in "
            "`image`, or application/json with base64 in `image`",
        )  # fmt: skip
    if len(upload.image) > max_bytes:
        raise _too_large(max_bytes)
    return upload


async def _read_body(request: Request, max_bytes: int) -> bytes:
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def _from_json(body: bytes) -> Upload:
    try:
        asked = TagRequest.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from error
    try:
        image = base64.b64decode(asked.image, validate=True)
    except ValueError as error:
        raise RequestError(
            400, "bad_base64",
            f"`image` is not standard base64 ({error}); addresses of images are not fetched",
        ) from error  # fmt: skip
    return Upload(image=image, options=asked)


async def _from_multipart(request: Request, body: bytes) -> Upload:
    try:
        parser = _InMemoryParser(request.headers, _once(body), max_files=1, max_fields=8)
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise RequestError(400, "bad_multipart", f"malformed multipart body: {error}") from error
    file = form.get("image")
    if not isinstance(file, UploadFile):
        raise RequestError(422, "invalid", "image: a file is required in this field")
    image = await file.read()
    return Upload(image=image, options=_options(form))


def _options(form: FormData) -> Options:
    try:
        return Options.model_validate({key: form[key] for key in form if key != "image"})
    except ValidationError as error:
        raise _invalid(error) from error


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _invalid(error: ValidationError) -> RequestError:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return RequestError(400, "bad_json", first["msg"])
    field = ".".join(str(part) for part in first["loc"]) or "body"
    return RequestError(422, "invalid", f"{field}: {first['msg']}")


def _too_large(max_bytes: int) -> RequestError:
    return RequestError(413, "too_large", f"more than the {max_bytes:,} bytes that are allowed")
