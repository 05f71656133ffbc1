"""The application: the table of routes, and what stands before them."""

from functools import cache
from typing import TextIO

from starlette.convertors import Convertor, register_url_convertor
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from litevision.serving import infer, predict
from litevision.serving.gate import Gate, State, state_of
from litevision.serving.metrics import CONTENT_TYPE_LATEST
from litevision.serving.openapi import openapi
from litevision.web.markup import Markup, markup

_TOKEN_FORM = """
    <form id="token" hidden><label for="secret">Token</label>
      <input id="secret" type="password" autocomplete="off"> <button class="button">Use token</button></form>"""


@cache
def _page() -> Markup:
    return markup("server.js", form=_TOKEN_FORM)


async def page(request: Request) -> Response:
    """The page."""
    text, policy = _page()
    policy += "; frame-ancestors 'none'"
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
