"""litevision serve: put models behind HTTP."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision.cli.fields import device_option, engine_names_with_auto, precision_names
from litevision.cli.parser import argument, option
from litevision.errors import FileMissingError, MissingExtraError, UsageError, reason_of

_TOKEN_VARIABLE = "LITEVISION_TOKEN"
_LONGEST_TOKEN = 4096


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Put models behind HTTP: JSON, the Open Inference Protocol, metrics, and a page to try them in a browser.

    Only programs of this machine reach it unless --host says otherwise. Nothing that is sent is kept or fetched.
    """

    examples: ClassVar = (
        "litevision serve clothing",
        "litevision serve clothing runs/first --port 9000",
        "litevision serve fashion=runs/first/model.onnx --host 0.0.0.0 --token-file token.txt",
    )
    models: tuple[str, ...] = argument(
        metavar="BUNDLE|RUN|NAME",
        help="Bundles (.onnx), folders of finished runs, or names that 'litevision models' lists; NAME=MODEL chooses "
        "what clients call it.",
    )
    host: str = option("127.0.0.1", metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all of this machine.")
    port: int = option(8000, min=0, max=65535, help="Port; 0 for one that is free.")
    token_file: Path | None = option(
        None, help=f"File with the token that clients must bring; {_TOKEN_VARIABLE} does the same."
    )
    cors: tuple[str, ...] = option(
        (), metavar="ORIGIN", help="Origin whose pages may read answers, such as https://example.org; once for each."
    )
    max_body_mb: float = option(20.0, min=0.001, metavar="MB", help="Most megabytes of a request's body.")
    max_images: int = option(16, min=1, help="Most images of one request.")
    max_megapixels: float = option(50.0, min=0.001, metavar="MP", help="Most million pixels of an image.")
    max_queue: int = option(64, min=1, help="Most images that wait; more are answered 429.")
    max_connections: int = option(512, min=1, help="Most connections at once.")
    body_s: float = option(15.0, min=0.1, metavar="SECONDS", help="Seconds for a body to arrive; then 408.")
    max_batch: int = option(4, min=1, help="Most images computed at once.")
    max_wait_ms: float = option(
        10.0, min=0, metavar="MS", help="Milliseconds that an image waits for others that are being decoded."
    )
    grace_s: float = option(25.0, min=0.2, metavar="SECONDS", help="Seconds from SIGTERM to the end, at most.")
    drain_s: float = option(
        1.0, min=0, metavar="SECONDS", help="Of these, seconds that still accept while /readyz says no."
    )
    log_format: str = option("text", choices=("text", "json"), help="Form of the access log, on standard output.")
    engine: str | None = option(
        None,
        choices=engine_names_with_auto,
        help="Engine that computes the networks; onnxruntime unless given, or what an export is for.",
    )
    precision: str | None = option(None, choices=precision_names, help="Precision; fp32 unless given.")
    device: str = device_option()


def run(options: ServeOptions) -> int:
    """Serve the models until a signal comes."""
    try:
        from litevision.serving.server import bind, serve
        from litevision.serving.settings import Settings
    except ImportError as error:
        raise MissingExtraError.of("litevision serve", "serve") from error
    from litevision.image import Limits
    from litevision.runtime.cpus import available_cpus
    from litevision.serving.served import open_models

    max_body_bytes = round(options.max_body_mb * 1e6)
    settings = Settings(
        max_body_bytes=max_body_bytes,
        max_images=options.max_images,
        max_queue=options.max_queue,
        max_connections=options.max_connections,
        max_held_bytes=max(Settings.max_held_bytes, 4 * max_body_bytes),
        body_s=options.body_s,
        send_s=options.body_s,
        max_batch=options.max_batch,
        max_wait_s=options.max_wait_ms / 1e3,
        grace_s=options.grace_s,
        drain_s=options.drain_s,
        token=_token(options.token_file),
        cors=options.cors,
        log_format=options.log_format,
    )
    with bind(options.host, options.port) as bound:
        models = open_models(
            options.models,
            limits=Limits(max_pixels=round(options.max_megapixels * 1e6), max_bytes=max_body_bytes),
            engine=options.engine,
            precision=options.precision,
            device=options.device,
            streams=available_cpus(),
        )
        return serve(models, settings, bound)


def _token(file: Path | None) -> str | None:
    """The token of the file or the environment; None where there is neither.

    Raises:
        LitevisionError: a file that cannot be read, or no token in it.
    """
    if file is None:
        given, where = os.environ.get(_TOKEN_VARIABLE), _TOKEN_VARIABLE
        if given is None:
            return None
    else:
        where = str(file)
        try:
            given = file.read_text("utf-8")
        except FileNotFoundError:
            raise FileMissingError(f"{file}: no such file. Write the token into it.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: cannot be read ({reason_of(error)}).") from None
    token = given.strip()
    if not (token.isascii() and token.isprintable() and " " not in token and 1 <= len(token) <= _LONGEST_TOKEN):
        raise UsageError(f"{where}: no token; expected one line of ASCII letters, digits and signs without blanks.")
    return token
