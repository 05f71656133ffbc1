"""The OpenAPI description of the routes, written from the models and limits of a server."""

from collections.abc import Iterable, Mapping
from typing import Any

from litevision import __version__
from litevision.serving.predict import SWITCH
from litevision.serving.served import ServedModel
from litevision.serving.settings import Settings

_TEXT, _NUMBER, _WHOLE, _YES = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}, **more}


def _list(items: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


_SIZE = _list(_WHOLE, minItems=2, maxItems=2)
_LABELLED = {"label": _TEXT, "score": _NUMBER, "index": _WHOLE}
_RESULT = _object(
    {"path": _TEXT},
    {
        "error": _TEXT,
        "predictions": _list(_object(_LABELLED, {"wordnet_id": _TEXT})),
        "detections": _list(_object({**_LABELLED, "box_xyxy": _list(_NUMBER, minItems=4, maxItems=4)})),
        "counts": {"type": "object", "additionalProperties": _WHOLE},
        "image_hw": _SIZE,
        "confidence": _NUMBER,
        "unsure": _YES,
        "ms": _NUMBER,
    },
)
_MADE_BY = {
    "litevision": _TEXT,
    "bundle": _object(
        {"sha256": _TEXT, "classes": _WHOLE, "engine": _TEXT, "precision": _TEXT, "device": _TEXT},
    ),
}
_SUMMARY = {"name": _TEXT, "task": _TEXT, "classes": _WHOLE, "size_hw": _SIZE, "licence": _TEXT}
_TENSOR = {"name": _TEXT, "datatype": _TEXT, "shape": _list(_WHOLE)}
_SCHEMAS = {
    "Error": _object({"error": _TEXT}),
    "Models": _object({"models": _list(_object(_SUMMARY))}),
    "Model": _object({**_SUMMARY, **_MADE_BY, "labels": _list(_TEXT), "has_card": _YES}),
    "Answer": _object(
        {"model": _TEXT, **_MADE_BY, "results": _list(_RESULT), "passed_over": {"type": "object"}},
        {"counts": {"type": "object", "additionalProperties": _WHOLE}},
    ),
    "Live": _object({"live": _YES}),
    "Ready": _object({"ready": _YES}, {"name": _TEXT}),
    "Server": _object({"name": _TEXT, "version": _TEXT, "extensions": _list(_TEXT)}),
    "Tensors": _object(
        {
            "name": _TEXT,
            "versions": _list(_TEXT),
            "platform": _TEXT,
            "inputs": _list(_object(_TENSOR)),
            "outputs": _list(_object(_TENSOR)),
        }
    ),
    "Inferred": _object(
        {
            "model_name": _TEXT,
            "model_version": _TEXT,
            "outputs": _list(_object(_TENSOR, {"data": _list(_NUMBER), "parameters": {"type": "object"}})),
        },
        {"id": _TEXT},
    ),
}
_SAID = {
    400: "A body or an option of another form.",
    401: "No token, or a wrong one.",
    404: "No such model.",
    408: "The body came too slowly.",
    413: "A body or an image that is too large.",
    415: "A body of another type.",
    422: "No image can be read.",
    429: "Too much waits. Send it again after the seconds of Retry-After.",
    500: "The server failed.",
}
_BINARY = {"type": "string", "format": "binary"}
_IMAGE = {"schema": _BINARY}


def openapi(models: Iterable[str] | Mapping[str, ServedModel], settings: Settings) -> dict[str, Any]:
    """Write the description.

    Args:
        models: the names of the models.
        settings: the limits, and whether a token is needed.
    """
    name = _parameter("name", "path", {"type": "string", "enum": list(models)}, "The name of a model.")
    options = [
        _parameter("top", "query", {"type": "integer", "minimum": 1, "maximum": 100_000}, "The most classes or boxes."),
        _parameter("score", "query", {"type": "number", "minimum": 0, "maximum": 1}, "The least score of each."),
        _parameter("draw", "query", {"type": "string", "enum": list(SWITCH)}, "1 for the image with the answer."),
    ]
    images = _list({"type": "string", "format": "byte"}, minItems=1, maxItems=settings.max_images)
    base64 = _object({"images": images}, additionalProperties=False)
    files = _list(_BINARY, minItems=1, maxItems=settings.max_images)
    form = _object({"file": files}, additionalProperties=False)
    bodies = {
        "image/*": _IMAGE,
        "multipart/form-data": {"schema": form, "encoding": {"file": {"contentType": "image/png, image/jpeg"}}},
        "application/json": {"schema": base64},
    }
    shape = _list({"type": "integer", "minimum": 1}, minItems=4, maxItems=4, description="N, height, width, 3")
    tensor = _object(
        {"name": {"const": "images"}, "datatype": {"const": "UINT8"}, "shape": shape, "data": {"type": "array"}},
        {"parameters": {"type": "object"}},
    )
    tensors = _object(
        {"inputs": _list(tensor, minItems=1, maxItems=1)},
        {"id": _TEXT, "parameters": {"type": "object"}, "outputs": _list(_object({"name": _TEXT}))},
    )
    html, text = {"text/html": {"schema": _TEXT}}, {"text/plain": {"schema": _TEXT}}
    answer = {**_json("Answer"), "image/png": _IMAGE}
    inferred = {**_json("Inferred"), "application/octet-stream": _IMAGE}
    heavy = (400, 404, 408, 413, 429, 500)
    paths = {
        "/": _get("page", "The page.", html),
        "/healthz": _get("live", "Whether the process runs.", _json("Live")),
        "/readyz": _get("ready", "Whether requests are welcome.", _json("Ready"), unready=True),
        "/metrics": _get("metrics", "Counters and times, for Prometheus.", text),
        "/openapi.json": _get("openapi", "This description.", {"application/json": {"schema": {"type": "object"}}}),
        "/v1/models": _get("listModels", "The models.", _json("Models")),
        "/v1/models/{name}": _get("describeModel", "What a model says of itself.", _json("Model"), (404,), [name]),
        "/v1/models/{name}/card": _get(
            "modelCard", "The model card.", {"text/markdown": {"schema": _TEXT}}, (404,), [name]
        ),
        "/v1/models/{name}:predict": {
            "post": {
                "operationId": "predict",
                "summary": "Answer one image or several, in the form of 'litevision classify --json'.",
                "parameters": [name, *options],
                "requestBody": {"required": True, "content": bodies},
                "responses": _responses(answer, (*heavy, 415, 422)),
            }
        },
        "/v2": _get("serverMetadata", "The server.", _json("Server")),
        "/v2/health/live": _get("serverLive", "Whether the process runs.", _json("Live")),
        "/v2/health/ready": _get("serverReady", "Whether requests are welcome.", _json("Ready"), unready=True),
        "/v2/models/{name}": _get("modelMetadata", "The tensors of a model.", _json("Tensors"), (404,), [name]),
        "/v2/models/{name}/ready": _get("modelReady", "Whether a model answers.", _json("Ready"), (404,), [name]),
        "/v2/models/{name}/infer": {
            "post": {
                "operationId": "infer",
                "summary": "Compute a tensor of images, by the Open Inference Protocol.",
                "parameters": [name],
                "requestBody": {"required": True, "content": {"application/json": {"schema": tensors}}},
                "responses": _responses(inferred, (*heavy, 415)),
            }
        },
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "litevision",
            "version": __version__,
            "description": "Classifiers and detectors. Nothing is fetched, and nothing that is sent is kept.",
        },
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }
    if settings.token is not None:
        document["components"] = {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        }
        document["security"] = [{"token": []}]
        for path in ("/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
            paths[path]["get"]["security"] = []
        for operations in paths.values():
            for operation in operations.values():
                if operation.get("security") != []:
                    operation["responses"]["401"] = _refusal(401)
    return document


def _parameter(name: str, place: str, schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": text}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _refusal(status: int) -> dict[str, Any]:
    return {"description": _SAID[status], "content": _json("Error")}


def _responses(content: Mapping[str, Any], refusals: Iterable[int]) -> dict[str, Any]:
    found: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    return {**found, **{str(status): _refusal(status) for status in refusals}}


def _get(
    name: str,
    summary: str,
    content: Mapping[str, Any],
    refusals: tuple[int, ...] = (),
    parameters: list[dict[str, Any]] | None = None,
    *,
    unready: bool = False,
) -> dict[str, Any]:
    responses = _responses(content, refusals)
    if unready:
        responses["503"] = {"description": "The server is about to end.", "content": content}
    operation = {"operationId": name, "summary": summary, "parameters": parameters or [], "responses": responses}
    return {"get": operation}
