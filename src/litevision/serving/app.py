"""The application: the table of routes, and what stands before them."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TextIO

from starlette.convertors import Convertor, register_url_convertor
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from litevision.serving import infer, predict
from litevision.serving.gate import Gate
from litevision.serving.metrics import CONTENT_TYPE_LATEST
from litevision.serving.openapi import openapi
from litevision.serving.state import State, state_of


@cache
def _page() -> tuple[str, str]:
    """The page, and what its browser may do: its own script and style, nothing of another address, no frames."""
    text = files("litevision.serving").joinpath("page.html").read_text("utf-8")
    digests = {
        kind: b64encode(sha256(text.partition(f"<{kind}>")[2].partition(f"</{kind}>")[0].encode()).digest()).decode()
        for kind in ("script", "style")
    }
    policy = (
        f"default-src 'none'; script-src 'sha256-{digests['script']}'; style-src 'sha256-{digests['style']}'; "
        "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


async def page(request: Request) -> Response:
    """The page."""
    text, policy = _page()
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    return HTMLResponse(text, headers=headers)


async def live(request: Request) -> Response:
    """Whether the process runs."""
    return JSONResponse({"live": True})


async def ready(request: Request) -> Response:
    """Whether requests are welcome."""
    is_ready = state_of(request).is_ready
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)


async def metrics(request: Request) -> Response:
    """Counters and times, for Prometheus."""
    return Response(state_of(request).metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def description(request: Request) -> Response:
    """The OpenAPI description of all routes."""
    state = state_of(request)
    return JSONResponse(openapi(state.models, state.settings))


class _NameConvertor(Convertor[str]):
    """A model's name in a path: without a colon, behind which stands what to do with it."""

    regex = r"[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("served", _NameConvertor())

ROUTES = (
    Route("/", page),
    Route("/healthz", live),
    Route("/readyz", ready),
    Route("/metrics", metrics),
    Route("/openapi.json", description),
    Route("/v1/models", predict.list_models),
    Route("/v1/models/{name:served}:predict", predict.predict, methods=["POST"]),
    Route("/v1/models/{name:served}/card", predict.model_card),
    Route("/v1/models/{name:served}", predict.describe_model),
    Route("/v2", infer.server_metadata),
    Route("/v2/health/live", live),
    Route("/v2/health/ready", ready),
    Route("/v2/models/{name:served}", infer.model_metadata),
    Route("/v2/models/{name:served}/ready", infer.model_ready),
    Route("/v2/models/{name:served}/infer", infer.infer, methods=["POST"]),
)


def application(state: State, log: TextIO | None = None) -> Gate:
    """Make the ASGI application of a server.

    Args:
        state: its models, limits and batcher.
        log: where the access log goes; standard output unless given.
    """
    state.metrics.watch("queue_images", "Images that wait to be computed.", lambda: state.batcher.waiting)
    state.metrics.watch("held_bytes", "Bytes of bodies that are under way.", lambda: state.held.held)
    app: ASGIApp = Router(ROUTES, redirect_slashes=False)
    if state.settings.cors:
        app = CORSMiddleware(
            app,
            allow_origins=state.settings.cors,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "X-Request-ID", infer.HEADER_LENGTH),
            expose_headers=("X-Request-ID", "Retry-After", infer.HEADER_LENGTH),
        )
    return Gate(app, state, log)
