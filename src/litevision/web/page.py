"""The page that runs a bundle in the browser: a folder for any static server, or one HTML file."""

import gzip
import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from litevision.errors import UsageError
from litevision.files import atomic_write, folder_beside
from litevision.hub import find_bundle, load, model_name
from litevision.outputs import BUNDLE_KIND, PAGE_KIND, PAGE_MARK, OutputKind, check_output, is_page
from litevision.runtime.bundle import refuse_other_runtimes
from litevision.web.markup import asset, markup
from litevision.web.onnxruntime_web import MODULE, WASM, read_runtime

INDEX, LIBRARY, BUNDLE, LICENCE = "index.html", "litevision.js", "model.onnx", "LICENSE.onnxruntime-web.txt"

_KINDS = {
    LIBRARY: OutputKind("the page's script", lambda head: b"litevision.js" in head[:100], (".js",)),
    BUNDLE: BUNDLE_KIND,
    MODULE: OutputKind("onnxruntime-web", lambda head: b"ONNX Runtime Web" in head[:1000], (".mjs",)),
    WASM: OutputKind("onnxruntime-web", lambda head: head.startswith(b"\0asm"), (".wasm",)),
    LICENCE: OutputKind("a licence", lambda head: head.startswith(b"onnxruntime-web"), (".txt",)),
    INDEX: PAGE_KIND,
}
"""The files of a folder, the page itself last; an existing one is replaced only if it is of its kind."""

_LIVE_BUTTON = '\n      <button class="button" id="live" aria-pressed="false" hidden>Live webcam</button>'
_RATE_LINE = '\n    <p id="rate"></p>'


def write_page(model: str, output: Path, *, runtime: Path | None = None) -> Mapping[str, int]:
    """Write a page that answers images by ``model`` in the browser, without a server of ours.

    Args:
        model: as `litevision.hub.load` takes it.
        output: a folder, new, empty, or written so before; or a file that ends in ``.html``.
        runtime: the folder with onnxruntime-web's files; fetched by npm once unless given.

    Returns:
        The names of the files that were written, and their bytes.

    Raises:
        UsageError: something is there that is not a page of ours, or nothing can be written there.
        LitevisionError: as for `litevision.hub.load` and `litevision.web.onnxruntime_web.read_runtime`.
    """
    is_one_file = is_page(output)
    path = find_bundle(model)
    refuse_other_runtimes(path, "onnxruntime-web does not compute it")
    if is_one_file:
        check_output(output, PAGE_KIND, inputs=[path])
    else:
        _check_folder(output, path)
    bundle = load(path, device="cpu").bundle
    card = bundle.card
    found, data, library = read_runtime(runtime), path.read_bytes(), asset(LIBRARY).encode()
    about = {"title": model_name(model), "card": card}
    if is_one_file:
        inside = {"library": library, "runtime": found.module, "wasm": found.wasm, "bundle": data}
        files = {output.name: _page(about, inside).encode()}
    else:
        files = {
            LIBRARY: library,
            BUNDLE: data,
            MODULE: found.module,
            WASM: found.wasm,
            LICENCE: asset(LICENCE).encode(),
            INDEX: _page(about, {}).encode(),
        }
    try:
        if is_one_file:
            with atomic_write(output) as partial:
                partial.write_bytes(files[output.name])
        else:
            _write_folder(files, output.absolute())
    except OSError as error:
        raise UsageError(f"{output}: cannot be written ({error.strerror or error}). Give another one.") from error
    return {name: len(content) for name, content in files.items()}


def _write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write all files beside the folder, and only then move them into it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder) as temporary:
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        folder.mkdir(exist_ok=True)
        for name in files:
            (temporary / name).replace(folder / name)


def _page(about: Mapping[str, str | None], inside: Mapping[str, bytes]) -> str:
    """The HTML; with files ``inside``, it needs none beside it."""
    plain = json.dumps(about).replace("<", "\\u003c")
    blocks = [f'<script type="application/json" id="about">{plain}</script>']
    if inside:
        blocks.append(f"<!--\n{asset(LICENCE)}-->")
    for name, content in inside.items():
        packed = b64encode(gzip.compress(content, 6, mtime=0)).decode()
        blocks.append(f'<script type="application/gzip" id="{name}">{packed}</script>')
    return markup(
        "offline.js",
        title=f"{about['title']}: litevision",
        head=f'<meta name="generator" content="{PAGE_MARK.decode()}">\n',
        buttons=_LIVE_BUTTON,
        form=_RATE_LINE,
        blocks="\n".join([*blocks, ""]),
        scripts_from=" 'wasm-unsafe-eval' " + ("blob:" if inside else "'self'"),
        connect_to="'none'" if inside else "'self'",
        states_policy=True,
    ).text


def _check_folder(folder: Path, model: Path) -> None:
    """Refuse a folder in which something would be overwritten, or would lie among others' files."""
    check_output(folder, None)
    if not folder.is_dir():
        return
    there = sorted(folder.iterdir())
    if there and not (folder / INDEX).is_file():
        raise UsageError(
            f"{folder}: a folder with other files, such as {there[0].name}; expected a new or empty one, or one "
            "with a page of litevision. Give a new name."
        )
    for name, kind in _KINDS.items():
        check_output(folder / name, kind, inputs=[model])
