"""The routes below /v1: images to answers, as JSON or drawn."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from litevision.errors import ImageError, near_names
from litevision.serving.batcher import Lane, Outcome
from litevision.serving.bodies import ImageFile, images_of, media_type, read_body
from litevision.serving.errors import OverloadedError, RequestError, image_error
from litevision.serving.gate import State, state_of
from litevision.serving.served import ServedModel, Wanted

Answer = TypeVar("Answer")

_OPTIONS = ("top", "score", "draw")
_LARGE_BODY = 2**20  # taking more apart would keep all other requests waiting
SWITCH = {"1": True, "true": True, "0": False, "false": False}
"""What an option may be that is on or off."""
_MOST_TOP = 100_000


async def list_models(request: Request) -> Response:
    """The models that are served."""
    check_options(request, ())
    state = state_of(request)
    return JSONResponse({"models": [model.summary() for model in state.models.values()]})


async def describe_model(request: Request) -> Response:
    """All that a model says of itself."""
    check_options(request, ())
    return JSONResponse(find_model(request).facts())


async def model_card(request: Request) -> Response:
    """The model card, in Markdown."""
    check_options(request, ())
    model = find_model(request)
    card = model.predictor.bundle.card
    if card is None:
        raise RequestError(404, "no such name", f"{model.name} has no model card.")
    return PlainTextResponse(card, media_type="text/markdown")


async def predict(request: Request) -> Response:
    """Answer the images of a request."""
    state = state_of(request)
    model = find_model(request)
    wanted, is_drawn = _options(request)
    body = await receive(request)
    arguments = (body, request.headers.get("content-type", ""), state.settings.max_images)
    if len(body) > _LARGE_BODY and media_type(request) != "image/jpeg":
        images = await asyncio.to_thread(images_of, *arguments)
    else:
        images = images_of(*arguments)
    if is_drawn and len(images) > 1:
        raise RequestError(400, "option", f"{len(images)} images; expected one to draw on.")
    outcomes = await compute(request, model.images, [it.data for it in images])
    _check(state, model, images, outcomes)
    if not is_drawn:
        return JSONResponse(model.document([it.name for it in images], outcomes, wanted))
    found = model.narrow(outcomes[0].value, wanted)
    [drawn] = await compute(request, model.drawings, [(images[0].data, found)])
    if drawn.error is not None:
        raise image_error(drawn.error) if isinstance(drawn.error, ImageError) else drawn.error
    return Response(drawn.value, media_type="image/png")


def find_model(request: Request) -> ServedModel:
    """The model that the path names.

    Raises:
        RequestError: there is none.
    """
    models, name = state_of(request).models, request.path_params["name"]
    if name not in models:
        raise RequestError(404, "no such name", f"no model {name!r}. Known: {', '.join(models)}.")
    model: ServedModel = models[name]
    return model


async def receive(request: Request) -> bytes:
    """Receive the body of a request for images; where none would be taken, it is refused before.

    Raises:
        RequestError: as for `litevision.serving.bodies.read_body`, or too many images wait.
    """
    state = state_of(request)
    if state.batcher.is_full_for():
        raise OverloadedError(state.batcher.waiting)
    return await read_body(request, state.settings, state.held)


async def compute(request: Request, lane: Lane, sources: Sequence[Any]) -> list[Outcome]:
    """Compute what a request brought, unless its client goes away before.

    Raises:
        RequestError: too many images wait, or the client has gone.
    """
    state = state_of(request)
    return await _unless_gone(request, state.batcher.run(lane, sources))


def check_options(request: Request, known: Sequence[str]) -> None:
    """Refuse what stands behind the question mark and is not known, or stands there twice.

    Raises:
        RequestError: there is such an option.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            near = near_names(name, known)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RequestError(400, "option", f"no option {name[:100]!r}.{hint}")
        if names.count(name) > 1:
            raise RequestError(400, "option", f"{name} is given more than once.")


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            raise RequestError(499, "gone", "the client has gone.")
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()


def _options(request: Request) -> tuple[Wanted, bool]:
    """What a request asks for, and whether it is to be drawn."""
    check_options(request, _OPTIONS)
    query = request.query_params
    top, score, draw = (query.get(name) for name in _OPTIONS)
    wanted = Wanted(None if top is None else _whole("top", top), None if score is None else _share("score", score))
    if draw is not None and draw not in SWITCH:
        raise RequestError(400, "option", f"draw is {draw[:100]!r}; expected 1 or 0.")
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip()
    return wanted, accepted == "image/png" if draw is None else SWITCH[draw]


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= _MOST_TOP and len(text) <= 10):
        raise RequestError(400, "option", f"{name} is {text[:100]!r}; expected a whole number from 1 to {_MOST_TOP}.")
    return int(text)


def _share(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise RequestError(400, "option", f"{name} is {text[:100]!r}; expected a number from 0 to 1.")
    return value


def _check(state: State, model: ServedModel, images: Sequence[ImageFile], outcomes: Sequence[Outcome]) -> None:
    """Count what became of the images, and refuse a request none of whose images can be read."""
    errors = [it.error for it in outcomes if it.error is not None]
    state.metrics.images(model.name, "ok", len(outcomes) - len(errors))
    state.metrics.images(model.name, "error", len(errors))
    for error in errors:
        if not isinstance(error, ImageError):
            raise error
    if errors and len(errors) == len(outcomes):
        first = image_error(errors[0])  # type: ignore[arg-type]  # all are
        if len(errors) == 1:
            raise first
        message = f"none of {len(errors)} images can be read; {images[0].name}: {first}"
        raise RequestError(first.status, first.kind, message)
