"""The endpoint: real Ray Serve, real HTTP, every way in which a request can be wrong."""

import base64
import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from PIL import Image

from hashnext.errors import DataError, StateError
from hashnext.images.decode import encode_jpeg
from hashnext.inference.predictor import LIMITS, Predictor
from hashnext.registry import versions
from hashnext.registry.package import ModelPackage
from serve import app

JSON = {"content-type": "application/json"}
Answer = dict[str, Any]


@pytest.fixture(scope="module")
def url(ray_session: None, tiny_package: ModelPackage) -> Iterator[str]:
    versions.register(tiny_package, "served")
    versions.promote("served", "champion", "1")
    with app.running("models:/served@champion", port=0) as url:
        yield url


@pytest.fixture(scope="module")
def web(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client


def photo(seed: int = 0, width: int = 90, height: int = 60) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    return encode_jpeg(np.asarray(Image.fromarray(coarse).resize((width, height))))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def post_file(web: httpx.Client, image: bytes, **fields: str) -> httpx.Response:
    return web.post("/v1/tags", files={"image": ("photo", image)}, data=fields)


def post_json(web: httpx.Client, **body: object) -> httpx.Response:
    return web.post("/v1/tags", json=body)


def check_error(response: httpx.Response, status: int, code: str) -> str:
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.json()["error"]["request_id"] == response.headers["x-request-id"] != ""
    return str(response.json()["error"]["message"])


def test_file_and_base64_get_what_the_predictor_says(
    web: httpx.Client, tiny_package: ModelPackage
) -> None:
    image = photo()
    [expected] = Predictor.load(tiny_package.folder.path).tags([image], top_k=3)
    by_file = post_file(web, image, top_k="3").json()["tags"]
    by_json = post_json(web, image=base64.b64encode(image).decode(), top_k=3).json()["tags"]
    for found in (by_file, by_json):
        assert [tag["hashtag"] for tag in found] == [s.tag.hashtag for s in expected]
        confidences = [s.confidence for s in expected]
        np.testing.assert_allclose([tag["confidence"] for tag in found], confidences, rtol=1e-3)


def test_a_tag_says_all_that_is_known_of_it(web: httpx.Client) -> None:
    tags = {tag["name"]: tag for tag in post_file(web, photo()).json()["tags"]}
    assert len(tags) == 8
    bear = tags["brown bear"]
    assert bear["hashtag"] == "#brownbear"
    assert bear["wnid"] == "n02132136"
    assert bear["aliases"] == ["#BrownBear", "#ursusarctos"]
    assert bear["parents"][0] == "bear"
    assert bear["confident"] is None, "the package has no thresholds"
    assert sum(tag["confidence"] for tag in tags.values()) == pytest.approx(1, abs=1e-3)


def test_options_bound_the_answer(web: httpx.Client) -> None:
    everything = post_file(web, photo()).json()["tags"]
    threshold = everything[1]["confidence"]
    assert len(post_file(web, photo(), top_k="2").json()["tags"]) == 2
    sure = post_file(web, photo(), min_confidence=str(threshold - 1e-4)).json()["tags"]
    assert [tag["name"] for tag in sure] == [tag["name"] for tag in everything[:2]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_is_taken(web: httpx.Client, kind: str) -> None:
    response = post_file(web, encoded(Image.open(io.BytesIO(photo())), kind))
    assert response.status_code == 200
    assert len(response.json()["tags"]) == 8


def test_a_photo_taken_sideways_is_turned_upright(web: httpx.Client) -> None:
    upright = Image.open(io.BytesIO(photo(width=64, height=64)))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned; to be shown rotated by 90 degrees clockwise
    sideways = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    plain = encoded(upright, "PNG")
    assert post_file(web, sideways).json()["tags"] == post_file(web, plain).json()["tags"]


def test_parallel_requests_get_each_its_own_answer(web: httpx.Client) -> None:
    images = [photo(seed) for seed in range(40)]
    alone = [post_file(web, image).json()["tags"] for image in images]
    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(lambda image: post_file(web, image).json()["tags"], images))
    for one, other in zip(alone, together, strict=True):
        first, second = ({t["name"]: t["confidence"] for t in tags} for tags in (one, other))
        assert first == pytest.approx(second, abs=1e-4)


def test_health_names_the_model(web: httpx.Client, tiny_package: ModelPackage) -> None:
    assert web.get("/healthz").json() == {
        "status": "ok",
        "model": {
            "name": "models:/served@champion",
            "version": "1",
            "fingerprint": tiny_package.fingerprint,
            "labels": 8,
        },
    }


def test_the_interface_is_described(web: httpx.Client) -> None:
    document = web.get("/openapi.json").json()
    assert set(document["paths"]) == {"/v1/tags", "/healthz"}
    operation = document["paths"]["/v1/tags"]["post"]
    media = operation["requestBody"]["content"]
    for kind in ("multipart/form-data", "application/json"):
        assert set(media[kind]["schema"]["properties"]) == {"image", "top_k", "min_confidence"}
    assert {"200", "400", "413", "415", "422"} <= set(operation["responses"])
    assert "addresses of photos are not accepted" in document["info"]["description"]
    assert web.get("/docs").status_code == 200


def test_the_caller_s_request_id_is_kept(web: httpx.Client) -> None:
    own = {"X-Request-ID": "trace-42"}
    good = web.post("/v1/tags", files={"image": photo()}, headers=own)
    bad = web.post("/v1/tags", content=b"{", headers=own | JSON)
    assert good.headers["x-request-id"] == good.json()["request_id"] == "trace-42"
    assert bad.headers["x-request-id"] == bad.json()["error"]["request_id"] == "trace-42"
    ids = {web.get("/healthz").headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"image": ', b"[" * 100_000])
def test_bad_json(web: httpx.Client, body: bytes) -> None:
    check_error(web.post("/v1/tags", content=body, headers=JSON), 400, "bad_json")


@pytest.mark.parametrize("image", ["not base64!", "abc", "é", "https://example.org/cat.jpg"])
def test_bad_base64(web: httpx.Client, image: str) -> None:
    message = check_error(post_json(web, image=image), 400, "bad_base64")
    assert "addresses of images are not fetched" in message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({}, "image"),
        ({"image": 7}, "image"),
        ({"image": "", "top_k": 0}, "top_k"),
        ({"image": "", "top_k": 101}, "top_k"),
        ({"image": "", "min_confidence": 1.5}, "min_confidence"),
        ({"image": "", "min_confidence": "NaN"}, "min_confidence"),
        ({"image_url": "http://169.254.169.254/", "image": ""}, "image_url"),
    ],
)
def test_wrong_fields_are_named(web: httpx.Client, body: object, field: str) -> None:
    message = check_error(web.post("/v1/tags", json=body), 422, "invalid")
    assert message.startswith(f"{field}:")


@pytest.mark.parametrize(
    ("field", "value"), [("top_k", "many"), ("min_confidence", "2"), ("colour", "red")]
)
def test_wrong_form_fields_are_named(web: httpx.Client, field: str, value: str) -> None:
    message = check_error(post_file(web, photo(), **{field: value}), 422, "invalid")
    assert message.startswith(f"{field}:")


def test_a_form_without_a_file(web: httpx.Client) -> None:
    missing = web.post("/v1/tags", files={"picture": photo()})
    assert "image" in check_error(missing, 422, "invalid")
    text = web.post("/v1/tags", files={"image": (None, "text")})
    assert "a file is required" in check_error(text, 422, "invalid")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: nonsense\r\n\r\n\r\n--x--",
        ),
        ("multipart/form-data; boundary=x", b"garbage that is no part"),
        ("multipart/form-data; boundary=é", b"x"),
    ],
)
def test_bad_multipart(web: httpx.Client, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode())]
    check_error(web.post("/v1/tags", content=body, headers=headers), 400, "bad_multipart")


def test_two_images_at_once(web: httpx.Client) -> None:
    both = [("image", ("a", photo())), ("image", ("b", photo()))]
    check_error(web.post("/v1/tags", files=both), 400, "bad_multipart")


@pytest.mark.parametrize("content_type", ["image/jpeg", "text/plain", "", None])
def test_other_media_types(web: httpx.Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = web.post("/v1/tags", content=photo(), headers=headers)
    assert "multipart/form-data" in check_error(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 no image at all", "not_image"),
        (photo()[:-400], "truncated"),
        (encoded(Image.new("RGB", (64, 64)), "PNG")[:60], "truncated"),
        (encoded(Image.new("1", (30_000, 30_000)), "PNG"), "oversized"),
    ],
)
def test_what_is_no_sound_image(web: httpx.Client, image: bytes, code: str) -> None:
    check_error(post_file(web, image), 422, code)
    check_error(post_json(web, image=base64.b64encode(image).decode()), 422, code)


def test_too_many_bytes_are_refused_when_read(web: httpx.Client) -> None:
    big = bytes(LIMITS.max_bytes + 1)
    assert "20,971,520" in check_error(post_file(web, big), 413, "too_large")
    check_error(post_json(web, image=base64.b64encode(big).decode()), 413, "too_large")


@pytest.mark.parametrize("length", ["Content-Length: 99999999", "Transfer-Encoding: chunked"])
def test_too_many_bytes_are_refused_before_they_are_read(url: str, length: str) -> None:
    """With a declared length at once; without one as soon as the limit is passed."""
    host, port = url.removeprefix("http://").split(":")
    head = f"POST /v1/tags HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"{head}{length}\r\n\r\n".encode())
        if "chunked" in length:
            chunk = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
            for _ in range(30):  # 30 MiB and no end of it
                connection.sendall(chunk)
        answer = connection.recv(4096)
        while b"\r\n\r\n{" not in answer:
            answer += connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"too_large" in answer


def test_unknown_addresses_and_methods(web: httpx.Client) -> None:
    check_error(web.get("/v2/tags"), 404, "not_found")
    check_error(web.get("/v1/tags"), 405, "method_not_allowed")


@effort(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["image", "top_k", "x"]), inner, max_size=3)
        ),
    ).map(lambda value: json.dumps(value).encode()),
    kind=st.sampled_from(["application/json", "multipart/form-data; boundary=x", "image/png"]),
)
def test_no_body_is_the_server_s_fault(web: httpx.Client, body: bytes, kind: str) -> None:
    response = web.post("/v1/tags", content=body, headers={"content-type": kind})
    assert response.status_code in (400, 415, 422)
    assert set(response.json()["error"]) == {"code", "message", "request_id"}


def test_a_second_endpoint_on_the_same_ray_is_refused(url: str, tiny_package: ModelPackage) -> None:
    with (
        pytest.raises(StateError, match="serves already"),
        app.running(tiny_package.folder.path, port=0),
    ):
        pass


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StateError, match=f"port {port}: Address already in use"):
            app.free_port("127.0.0.1", port)


def test_the_builder_refuses_what_is_no_package(ray_session: None) -> None:
    with pytest.raises(DataError, match="not a model package"):
        app.build(app.Arguments(model="nowhere"))
    with pytest.raises(ValueError, match="modle"):
        app.Arguments.model_validate({"modle": "nowhere"})


@pytest.mark.slow
def test_the_command_serves_until_it_is_told_to_stop(tiny_package: ModelPackage) -> None:
    """By SIGTERM; test_readme.py stops it with SIGINT."""
    command = f"{sys.executable} -u -m serve.app --port 0 --model {tiny_package.folder.path}"
    process = subprocess.Popen(command.split(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    url = next(word for word in line.split() if word.startswith("http://"))
    assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")
