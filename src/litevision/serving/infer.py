"""The routes below /v2: the Open Inference Protocol, with uint8 tensors in and the graph's own outputs out.

https://github.com/kserve/open-inference-protocol; tensors as JSON or, as in its binary extension, as bytes behind it.
"""

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from litevision import __version__
from litevision.runtime.engines import TensorInfo
from litevision.serving.bodies import parse_json, too_many
from litevision.serving.errors import RequestError
from litevision.serving.gate import state_of
from litevision.serving.predict import check_options, compute, find_model, receive
from litevision.serving.served import ServedModel

HEADER_LENGTH = "inference-header-content-length"
VERSION = "1"
_EXTENSION = "binary_tensor_data"
_DATATYPES = {"uint8": "UINT8", "float": "FP32", "int64": "INT64"}
_INPUT_DATATYPE = "UINT8"


async def server_metadata(request: Request) -> Response:
    """The server's name, version and extensions."""
    check_options(request, ())
    return JSONResponse({"name": "litevision", "version": __version__, "extensions": [_EXTENSION]})


async def model_metadata(request: Request) -> Response:
    """The tensors that a model takes and gives."""
    check_options(request, ())
    model = find_model(request)
    engine = model.predictor.bundle.engine
    return JSONResponse(
        {
            "name": model.name,
            "versions": [VERSION],
            "platform": "onnx",
            "inputs": [_tensor(it) for it in engine.inputs],
            "outputs": [_tensor(it) for it in engine.outputs],
        }
    )


async def model_ready(request: Request) -> Response:
    """Whether a model answers."""
    check_options(request, ())
    return JSONResponse({"name": find_model(request).name, "ready": state_of(request).is_ready})


async def infer(request: Request) -> Response:
    """Compute a tensor of images."""
    check_options(request, ())
    state, model = state_of(request), find_model(request)
    body = await receive(request)
    header, raw = _split(body, request.headers.get(HEADER_LENGTH))
    document = await asyncio.to_thread(parse_json, header)
    images = await asyncio.to_thread(_images, model, document, raw, state.settings.max_images)
    wanted = _wanted_outputs(model, document)
    outcomes = await compute(request, model.tensors, list(images))
    for it in outcomes:
        if it.error is not None:
            raise it.error
    state.metrics.images(model.name, "ok", len(outcomes))
    outputs = {name: np.stack([it.value[name] for it in outcomes]) for name in wanted}
    return _response(model, document, outputs, wanted)


def _tensor(info: TensorInfo) -> dict[str, Any]:
    shape = [-1, *(-1 if length is None else length for length in info.shape[1:])]  # any N, also where the graph has 1
    return {"name": info.name, "datatype": _DATATYPES.get(info.dtype, info.dtype.upper()), "shape": shape}


def _split(body: bytes, stated: str | None) -> tuple[bytes, bytes]:
    """The JSON of a body, and the bytes behind it."""
    if stated is None:
        return body, b""
    if not (stated.isascii() and stated.isdigit() and int(stated[:12]) <= len(body)):
        raise _refused(f"Inference-Header-Content-Length is {stated[:100]!r}; expected at most {len(body)}, the whole.")
    return body[: int(stated)], body[int(stated) :]


def _images(model: ServedModel, document: Any, raw: bytes, most: int) -> npt.NDArray[np.uint8]:
    """The one input of a request, ``uint8[N, H, W, 3]``.

    Raises:
        RequestError: it is of another form.
    """
    if not isinstance(document, dict):
        raise _refused(f"the JSON is a {type(document).__name__}; expected an object.")
    if not isinstance(document.get("id", ""), str) or not isinstance(document.get("parameters", {}), dict):
        raise _refused("expected id to be a text and parameters to be an object.")
    inputs = document.get("inputs")
    if not (isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], dict)):
        raise _refused("expected inputs to be a list of one object.")
    [info], given = model.predictor.bundle.engine.inputs, inputs[0]
    if (given.get("name"), given.get("datatype")) != (info.name, _INPUT_DATATYPE):
        found = f"input {_shown(given.get('name'))} of {_shown(given.get('datatype'))}"
        raise _refused(f"{found}; expected {info.name!r} of {_INPUT_DATATYPE!r}.")
    shape = given.get("shape")
    if not isinstance(shape, list) or not all(isinstance(it, int) and not isinstance(it, bool) for it in shape):
        raise _refused(f"shape is {_shown(shape)}; expected [N, {', '.join(map(str, info.shape[1:]))}].")
    if len(shape) != len(info.shape) or shape[1:] != list(info.shape[1:]) or shape[0] < 1:
        raise _refused(f"shape is {_shown(shape)}; expected [N, {', '.join(map(str, info.shape[1:]))}].")
    if shape[0] > most:
        raise too_many(shape[0], most)
    parameters = given.get("parameters", {})
    if not isinstance(parameters, dict):
        raise _refused("the parameters of the input are no object.")
    size = parameters.get("binary_data_size")
    values = _values(given.get("data"), math.prod(shape)) if size is None else _binary(size, raw, math.prod(shape))
    return values.reshape(shape)


def _binary(size: Any, raw: bytes, count: int) -> npt.NDArray[np.uint8]:
    if size != count or isinstance(size, bool) or len(raw) != count:
        raise _refused(f"binary_data_size is {_shown(size)} of {len(raw)} bytes; expected {count} of both.")
    return np.frombuffer(raw, np.uint8)


def _values(data: Any, count: int) -> npt.NDArray[np.uint8]:
    """Numbers of a JSON tensor, flat or in nested lists."""
    try:
        array = np.asarray(data)
    except (ValueError, TypeError, OverflowError):  # lists of different lengths, numbers of any length
        array = np.asarray(None)
    if not isinstance(data, list) or array.dtype.kind not in "iu" or array.size != count:
        raise _refused(f"data is no list of {count} whole numbers.")
    if array.min() < 0 or array.max() > 255:
        raise _refused(f"data has values from {array.min()} to {array.max()}; expected 0 to 255.")
    return array.astype(np.uint8).ravel()


def _wanted_outputs(model: ServedModel, document: Mapping[str, Any]) -> dict[str, bool]:
    """The names of the outputs that are asked for, each with whether it is to be given as bytes."""
    as_bytes = document.get("parameters", {}).get("binary_data_output", False) is True
    known = [it.name for it in model.predictor.bundle.engine.outputs]
    asked = document.get("outputs")
    if asked is None:
        return dict.fromkeys(known, as_bytes)
    wanted = {}
    if not isinstance(asked, list) or not all(isinstance(it, dict) for it in asked):
        raise _refused("expected outputs to be a list of objects.")
    for it in asked:
        name, parameters = it.get("name"), it.get("parameters", {})
        if name not in known or not isinstance(parameters, dict):
            raise _refused(f"output {_shown(name)}; expected {' or '.join(map(repr, known))}.")
        wanted[name] = parameters.get("binary_data", as_bytes) is True
    return wanted or dict.fromkeys(known, as_bytes)


def _response(
    model: ServedModel,
    document: Mapping[str, Any],
    outputs: Mapping[str, npt.NDArray[Any]],
    wanted: Mapping[str, bool],
) -> Response:
    rows, parts = [], []
    types = {it.name: _DATATYPES.get(it.dtype, it.dtype.upper()) for it in model.predictor.bundle.engine.outputs}
    for name, array in outputs.items():
        row: dict[str, Any] = {"name": name, "datatype": types[name], "shape": list(array.shape)}
        if wanted[name]:
            parts.append(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            row["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            row["data"] = array.ravel().tolist()
        rows.append(row)
    answer = {"model_name": model.name, "model_version": VERSION, "outputs": rows}
    if "id" in document:
        answer["id"] = document["id"]
    text = json.dumps(answer).encode()
    if not parts:
        return Response(text, media_type="application/json")
    headers = {HEADER_LENGTH: str(len(text))}
    return Response(b"".join((text, *parts)), media_type="application/octet-stream", headers=headers)


def _shown(value: Any) -> str:
    return repr(value)[:100]


def _refused(message: str) -> RequestError:
    return RequestError(400, "tensor", message)
