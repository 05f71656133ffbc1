"""Requests that no server should answer with 2xx or 5xx: bodies, tensors and options that are wrong in known ways."""

import base64
import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Malformed:
    """A request: its path behind the server's address, headers and body, and what is wrong with it."""

    kind: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def malformed(model: str, size_hw: tuple[int, int], image: bytes, count: int, seed: int = 0) -> Iterator[Malformed]:
    """Make so many of them, the same ones for the same seed.

    Args:
        model: the name of a model that is served.
        size_hw: of its input, px.
        image: a good JPEG file.
        count: how many.
        seed: of all that is drawn.
    """
    draw = random.Random(seed)
    kinds = [*_IMAGES, *_TENSORS]
    for number in range(count):
        make = kinds[number % len(kinds)]
        body, headers, options = make(draw, image if make in _IMAGES else _tensor(size_hw))
        path = f"/v1/models/{model}:predict" if make in _IMAGES else f"/v2/models/{model}/infer"
        yield Malformed(make.__name__, path + options, body, headers)


Made = tuple[bytes, dict[str, str], str]
_JSON = {"Content-Type": "application/json"}


def _noise(draw: random.Random, image: bytes) -> Made:
    return draw.randbytes(draw.randint(1, 2000)), {}, ""


def _cut_head(draw: random.Random, image: bytes) -> Made:
    return image[: draw.randint(1, 100)], {"Content-Type": "image/jpeg"}, ""


def _empty(draw: random.Random, image: bytes) -> Made:
    return b"", {"Content-Type": draw.choice(["image/png", "application/json", "multipart/form-data; boundary=x"])}, ""


def _no_json(draw: random.Random, image: bytes) -> Made:
    text = json.dumps({"images": [base64.b64encode(image).decode()]}).encode()
    return draw.choice([text[: draw.randint(1, len(text) - 1)], b"\xff" + text, b"[" * 100_000, b"nul"]), _JSON, ""


def _other_json(draw: random.Random, image: bytes) -> Made:
    text = base64.b64encode(image).decode()
    forms = [text, [text], {"image": text}, {"images": text}, {"images": [text], "url": "x"}, {"images": []}, None, 1e9]
    return json.dumps(draw.choice(forms)).encode(), _JSON, ""


def _no_base64(draw: random.Random, image: bytes) -> Made:
    wrong = ["?" + "A" * draw.randint(1, 99), "AAA", "http://127.0.0.1/a.jpg", "file:///etc/passwd", "data:,x", 7, None]
    return json.dumps({"images": [draw.choice(wrong)]}).encode(), _JSON, ""


def _cut_form(draw: random.Random, image: bytes) -> Made:
    form = _form(image)
    return form[: draw.randint(1, len(form) - 4)], {"Content-Type": "multipart/form-data; boundary=edge"}, ""


def _other_form(draw: random.Random, image: bytes) -> Made:
    kinds = ["", "; boundary=", "; boundary=other", '; boundary="' + "x" * 400 + '"', "; charset=edge"]
    return _form(image), {"Content-Type": f"multipart/form-data{draw.choice(kinds)}"}, ""


def _field(draw: random.Random, image: bytes) -> Made:
    form = _form(image).replace(b'; filename="a.jpg"', b"").replace(b"image/jpeg", b"text/plain")
    return form, {"Content-Type": "multipart/form-data; boundary=edge"}, ""


def _other_type(draw: random.Random, image: bytes) -> Made:
    return image, {"Content-Type": draw.choice(["text/html", "video/mp4", "application/x-python-pickle", "\xe9"])}, ""


def _compressed(draw: random.Random, image: bytes) -> Made:
    return gzip.compress(image), {"Content-Encoding": draw.choice(["gzip", "br", "x"])}, ""


def _option(draw: random.Random, image: bytes) -> Made:
    options = [
        "top=0",
        "top=-1",
        "top=many",
        "top=" + "9" * 5000,
        "score=nan",
        "score=2",
        "score=",
        "draw=maybe",
        "tops=1",
    ]
    return image, {}, f"?{draw.choice([*options, 'top=1&top=2', 'url=http://127.0.0.1/'])}"


def _wrong_tensor(draw: random.Random, tensor: dict[str, Any]) -> Made:
    one = tensor["inputs"][0]
    wrong: list[dict[str, Any]] = [
        {"data": one["data"][:-1]},
        {"data": [256, *one["data"][1:]]},
        {"data": [-1, *one["data"][1:]]},
        {"data": [0.5, *one["data"][1:]]},
        {"data": ["a", *one["data"][1:]]},
        {"data": [10**400, *one["data"][1:]]},
        {"data": [[1], [2, 3]]},
        {"data": None},
        {"shape": [0, *one["shape"][1:]]},
        {"shape": [-1, *one["shape"][1:]]},
        {"shape": [10**30, *one["shape"][1:]]},
        {"shape": [True, *one["shape"][1:]]},
        {"shape": one["shape"][:-1]},
        {"shape": "1"},
        {"datatype": "FP32"},
        {"datatype": None},
        {"name": "other"},
        {"parameters": {"binary_data_size": 5}},
        {"parameters": {"shared_memory_region": "x", "binary_data_size": "all"}},
    ]
    return json.dumps({"inputs": [{**one, **draw.choice(wrong)}]}).encode(), _JSON, ""


def _wrong_request(draw: random.Random, tensor: dict[str, Any]) -> Made:
    wrong: list[Any] = [
        {},
        [],
        None,
        {"inputs": []},
        {"inputs": tensor["inputs"] * 2},
        {"inputs": "x"},
        {**tensor, "outputs": [{"name": "nothing"}]},
        {**tensor, "outputs": 3},
        {**tensor, "id": 5},
        {**tensor, "parameters": []},
    ]
    return json.dumps(draw.choice(wrong)).encode(), _JSON, ""


def _wrong_length(draw: random.Random, tensor: dict[str, Any]) -> Made:
    body = json.dumps(tensor).encode()
    stated = draw.choice(["-1", "x", str(len(body) + 1), "9" * 400, "3"])
    return body, {**_JSON, "Inference-Header-Content-Length": stated}, ""


_IMAGES: list[Callable[[random.Random, Any], Made]] = [
    _noise,
    _cut_head,
    _empty,
    _no_json,
    _other_json,
    _no_base64,
    _cut_form,
    _other_form,
    _field,
    _other_type,
    _compressed,
    _option,
]
_TENSORS: list[Callable[[random.Random, Any], Made]] = [_wrong_tensor, _wrong_request, _wrong_length]


def _form(image: bytes) -> bytes:
    head = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    return head + image + b"\r\n--edge--\r\n"


def _tensor(size_hw: tuple[int, int]) -> dict[str, Any]:
    shape = [1, *size_hw, 3]
    data = [0] * (size_hw[0] * size_hw[1] * 3)
    return {"inputs": [{"name": "images", "shape": shape, "datatype": "UINT8", "data": data}]}
