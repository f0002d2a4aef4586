"""Every failed request is answered as `{"error": {"code", "message", "request_id"}}`."""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hashnext.images.decode import ImageRejected
from serve.schema import ErrorBody, ErrorResponse

REQUEST_ID = "X-Request-ID"
"""Ray Serve's proxy puts it on every request and every response, and keeps the caller's own."""


class RequestError(Exception):
    """A request that is the caller's to mend."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def install(app: FastAPI) -> None:
    """Have the app answer every exception in the one form."""
    app.add_exception_handler(RequestError, _answer)
    app.add_exception_handler(ImageRejected, _answer)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(Exception, _answer)


def request_id(request: Request) -> str:
    """The id under which caller and logs speak of a request."""
    return request.headers.get(REQUEST_ID, "")


async def _answer(request: Request, error: Exception) -> JSONResponse:
    status, code, message = _described(error)
    body = ErrorBody(code=code, message=message, request_id=request_id(request))
    return JSONResponse(ErrorResponse(error=body).model_dump(), status)


def _described(error: Exception) -> tuple[int, str, str]:
    match error:
        case RequestError():
            return error.status, error.code, str(error)
        case ImageRejected():
            return 422, error.reason, error.detail
        case HTTPException(status_code=404):
            return 404, "not_found", "no such page; the interface is described at /docs"
        case HTTPException(status_code=405):
            return 405, "method_not_allowed", "this address takes another method; see /docs"
        case HTTPException():
            return error.status_code, "refused", error.detail
    logging.getLogger("ray.serve").exception("request failed", exc_info=error)
    return 500, "internal", "the server failed; its log has the reason under the request id"
