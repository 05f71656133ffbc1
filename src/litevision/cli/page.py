"""litevision page: a page that runs a model in the browser."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision import console
from litevision.cli.fields import model_names
from litevision.cli.parser import argument, option


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """Write a page that runs a model in the browser: bars or boxes, a threshold, the webcam, and no server.

    It is plain files for any web server, or one HTML file. Nothing comes from another address, and no image leaves the
    browser. onnxruntime-web is fetched once, by npm.
    """

    examples: ClassVar = ("litevision page clothing -o site/", "litevision page runs/first -o first.html")
    model: str = argument(
        metavar="BUNDLE|RUN|NAME",
        choices=model_names,
        help="A bundle (.onnx), the folder of a finished run, or a model's name.",
    )
    output: Path = option(
        short="-o",
        metavar="FOLDER|FILE.html",
        help="Folder to write, for a web server; or one .html file, which opens from a disk too.",
        writes="page",
    )
    runtime: Path | None = option(
        None, metavar="FOLDER", help="Folder dist of onnxruntime-web; fetched by npm once, and kept, unless given."
    )


def run(options: PageOptions) -> int:
    """Write the page."""
    from litevision.web.page import write_page

    written = write_page(options.model, options.output, runtime=options.runtime)
    size = sum(written.values()) / 1e6
    console.note(f"wrote {options.output} ({size:.1f} MB)")
    if options.output.is_dir():
        console.note(f"to see it: python -m http.server --bind 127.0.0.1 -d {options.output}")
    return 0
