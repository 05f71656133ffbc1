"""The bodies of requests: received within limits of size and time, and taken apart into the files of images.

Nothing is written to disk, and nothing is fetched: a text where an image should be is base64 or refused.
"""

import asyncio
import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from litevision.errors import reason_of
from litevision.serving.errors import OverloadedError, RequestError
from litevision.serving.settings import Settings

_CLOSE = {"Connection": "close"}  # the rest of a body that is not read would be taken for the next request
_RAW = ("image/", "application/octet-stream", "application/x-www-form-urlencoded")  # the last is what curl says
_JSON_COPIES = 3  # text, parsed text and decoded bytes
_LONG_NAME = 200


class ImageFile(NamedTuple):
    """The bytes of one image, and what the answer calls it."""

    name: str
    data: bytes


@dataclass
class HeldBytes:
    """Bytes of all bodies that are under way, which share one limit."""

    limit: int
    held: int = 0

    def take(self, count: int) -> None:
        """Count more.

        Raises:
            RequestError: there are too many.
        """
        if self.held + count > self.limit:
            raise RequestError(
                429,
                "overload",
                "too many bytes are under way. Send it again later.",
                {**OverloadedError(0).headers, **_CLOSE},
            )
        self.held += count

    def give(self, count: int) -> None:
        """Count fewer."""
        self.held -= count


async def read_body(request: Request, settings: Settings, held: HeldBytes) -> bytes:
    """Receive the whole body of a request; what it takes is counted in ``held`` until the caller gives it back.

    Raises:
        RequestError: it is too long, too slow or compressed, or the client has gone.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise RequestError(415, "media type", f"a body of Content-Encoding {encoding!r}; expected it as it is.", _CLOSE)
    most = settings.max_body_bytes
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > most:
        raise _too_long(most)
    body = bytearray()
    copies = _JSON_COPIES if media_type(request) == "application/json" else 1
    try:
        async with asyncio.timeout(settings.body_s):
            async for chunk in request.stream():
                if len(body) + len(chunk) > most:
                    raise _too_long(most)
                held.take(copies * len(chunk))
                body += chunk
    except TimeoutError:
        held.give(copies * len(body))
        message = f"the body had not arrived after {settings.body_s:g} s. Send it faster, or a smaller one."
        raise RequestError(408, "slow body", message, _CLOSE) from None
    except ClientDisconnect:
        held.give(copies * len(body))
        raise RequestError(400, "gone", "the client has gone.") from None
    except BaseException:
        held.give(copies * len(body))
        raise
    request.state.held_bytes = copies * len(body)
    return bytes(body)


def media_type(request: Request) -> str:
    """What the body is said to be, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def images_of(body: bytes, content_type: str, most: int) -> list[ImageFile]:
    """Take a body apart into images.

    Args:
        body: raw bytes of one image, multipart/form-data with a file for each, or JSON as `_from_json` says.
        content_type: what the request says that it is.
        most: how many images it may have.

    Raises:
        RequestError: it is not what it is said to be, empty, or has too many.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        raise RequestError(400, "body", "an empty body; expected an image, files of a form, or JSON.")
    if kind == "multipart/form-data":
        images = _from_form(body, content_type, most)
    elif kind == "application/json":
        images = _from_json(body, most)
    elif not kind or kind.startswith(_RAW):
        images = [ImageFile("body", body)]
    else:
        message = (
            f"a body of type {kind[:_LONG_NAME]!r}; expected image/*, application/octet-stream, multipart/form-data or "
            "application/json."
        )
        raise RequestError(415, "media type", message)
    if not images:
        raise RequestError(400, "body", "no image; expected at least one.")
    return images


def parse_json(body: bytes) -> Any:
    """Parse a body of JSON.

    Raises:
        RequestError: it is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "too deep" if isinstance(error, RecursionError) else reason_of(error)
        raise RequestError(400, "body", f"the body is no JSON ({reason}).") from None


def too_many(count: int | str, most: int) -> RequestError:
    """The error of a request with more images than are allowed."""
    return RequestError(400, "too many images", f"{count} images; expected at most {most} in one request.")


def _too_long(most: int) -> RequestError:
    return RequestError(413, "body too large", f"a body of more than {most:,} bytes. Make the image smaller.", _CLOSE)


def _from_json(body: bytes, most: int) -> list[ImageFile]:
    """Images of ``{"images": ["base64", ...]}``, each plain or as a ``data:`` URL."""
    document = parse_json(body)
    texts = document.get("images") if isinstance(document, dict) else None
    if not isinstance(texts, list) or set(document) != {"images"}:
        raise RequestError(400, "body", 'the JSON is of another form; expected {"images": ["base64", ...]} alone.')
    if len(texts) > most:
        raise too_many(len(texts), most)
    return [ImageFile(f"images[{place}]", _from_base64(text, place)) for place, text in enumerate(texts)]


def _from_base64(text: Any, place: int) -> bytes:
    if not isinstance(text, str):
        raise RequestError(400, "body", f"images[{place}] is a {type(text).__name__}; expected base64.")
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            raise RequestError(400, "body", f"images[{place}] is a data: URL without ;base64.")
    elif "://" in text[:16]:
        raise RequestError(400, "body", f"images[{place}] is an address, and nothing is fetched; expected base64.")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(400, "body", f"images[{place}] is no base64 ({reason_of(error)}).") from None


@dataclass
class _Form:
    """The parts of a form, as the parser finds them."""

    most: int
    images: list[ImageFile] = field(default_factory=list)
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _name: bytes = b""
    _value: bytes = b""
    _data: bytearray = field(default_factory=bytearray)
    is_complete: bool = False

    def on_part_begin(self) -> None:
        if len(self.images) == self.most:
            raise too_many(f"more than {self.most}", self.most)
        self._headers, self._data = {}, bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def on_part_end(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        kind = self._headers.get(b"content-type", b"").lower()
        if disposition != b"form-data" or (b"filename" not in options and not kind.startswith(b"image/")):
            field_name = options.get(b"name", b"").decode("utf-8", "replace")[:_LONG_NAME]
            raise RequestError(400, "body", f"the form's field {field_name!r} is no file; options go into the address.")
        given = options.get(b"filename", b"").decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
        name = "".join(letter for letter in given if letter.isprintable())[:_LONG_NAME]
        self.images.append(ImageFile(name or f"file {len(self.images) + 1}", bytes(self._data)))

    def on_end(self) -> None:
        self.is_complete = True


def _from_form(body: bytes, content_type: str, most: int) -> list[ImageFile]:
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise RequestError(400, "body", "the form's Content-Type names no boundary.")
    form = _Form(most)
    names = ("part_begin", "header_field", "header_value", "header_end", "part_data", "part_end", "end")
    callbacks: Any = {f"on_{name}": getattr(form, f"on_{name}") for name in names}
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(400, "body", f"the form cannot be read ({reason_of(error)}).") from None
    if not form.is_complete:
        raise RequestError(400, "body", "the form ends too early, or its boundary is not the one of its header.")
    return form.images
