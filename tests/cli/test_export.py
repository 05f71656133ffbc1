"""litevision export."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper

from exports import LABELS
from images import encoded, noise
from litevision.exporting.formats import FORMATS, ExportFormat, FinishedBundle, Variant
from litevision.hub import load
from litevision.models import build, configure
from litevision.runtime import BundleMetadata, Engine
from litevision.runtime.engines import engine_choice, open_engine
from litevision.tasks.classification.export import check_bundle
from litevision.weights.save import save_weights
from litevision.zoo import BUNDLES
from networks import SHORT_ROWS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: weights of 10 classes, and the classes' names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LITEVISION_OFFLINE", "1")
    torch.manual_seed(0)
    rows = SHORT_ROWS["mobilenet_v2"][:2]
    save_weights(build(configure("mobilenet_v2", num_classes=10, rows=rows)), "mine.safetensors")
    Path("names.txt").write_text("\n".join(LABELS), "utf-8")
    return tmp_path


def test_says_what_it_wrote_and_how_it_checked(litevision: Run) -> None:
    Path("photos").mkdir()
    for seed in range(2):
        Path(f"photos/{seed}.png").write_bytes(encoded(noise(50, 60, seed)))
    named = ("--labels", "names.txt", "--size", "64x48", "--normalisation", "half", "--check-images", "photos")
    code, out, err = litevision("export", "mine.safetensors", "-o", "new/it.onnx", *named)
    assert (code, err) == (0, "")
    wrote, taken, answers, size, checked = out.splitlines()
    assert taken.startswith("input: ")
    assert answers.startswith("output: ")
    assert wrote == "wrote new/it.onnx: mobilenet_v2, 10 classes, 64x48"
    assert size == f"size: {Path('new/it.onnx').stat().st_size / 1e6:.1f} MB"
    assert checked.startswith("checked on 2 images in onnxruntime 1.")
    assert checked.endswith(", the top answer agrees on 100%")
    metadata = load("new/it.onnx").bundle.metadata
    assert (metadata.labels, metadata.preprocess.size_hw, metadata.normalisation.mean[0]) == (LABELS, (64, 48), 0.5)
    assert [path.name for path in Path("new").iterdir()] == ["it.onnx"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("mine.safetensors",),
            "the network has 10 classes: name them with labels (on the command line --labels FILE",
        ),
        (("none.safetensors",), "no weight file at none.safetensors"),
        (("broken.safetensors",), "broken.safetensors is no weight file that litevision reads"),
        (("mobilenet_v9",), "no weight set 'mobilenet_v9'"),
        (("mobilenet_v2",), "cannot download https://"),
        (("mine.safetensors", "--labels", "none.txt"), "none.txt: no such file of labels; expected one name a line"),
        (("mine.safetensors", "--labels", "few.txt"), "the network has 10 classes, got 2 labels; one each is needed"),
        (("mine.safetensors", "--labels", "latin.txt"), "latin.txt: cannot be read as labels"),
        (("mine.safetensors", "--labels", "names.txt", "--size", "0"), "a size is one side in pixels or HxW"),
        (
            ("mine.safetensors", "--labels", "names.txt", "--normalisation", "imagnet"),
            "no normalisation 'imagnet'. Did you mean 'imagenet'?",
        ),
        (("mine.safetensors", "--labels", "names.txt", "--check-images", "empty"), "empty: no images in this folder"),
        (("mine.safetensors", "--labels", "names.txt", "--model", "mobilenet_v1"), "mine.safetensors"),
        (
            ("mine.safetensors", "--labels", "names.txt", "--dialect", "kers"),
            "mine.safetensors holds mobilenet_v2 (dialect",
        ),
    ],
)
def test_a_fault_is_one_line_and_leaves_nothing(litevision: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("broken.safetensors").write_bytes(b"oops, no weights")
    Path("few.txt").write_text("cat\ndog\n", "utf-8")
    Path("latin.txt").write_bytes("Bär".encode("latin-1"))
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    code, out, err = litevision("export", *arguments, "-o", "it.onnx")
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert [path for path in sorted(Path().rglob("*")) if "cache" not in path.parts] == before


def test_another_ending_is_refused(litevision: Run) -> None:
    code, out, err = litevision("export", "mine.safetensors", "-o", "it.pt", "--labels", "names.txt")
    assert (code, out, err) == (
        1,
        "",
        "error: no export format is written to 'it.pt'; expected a name that ends with "
        + "; ".join(f"{row.suffixes[0]} ({row.name}: {row.help})" for row in FORMATS.values())
        + "\n",
    )


def test_an_output_is_asked_for(litevision: Run) -> None:
    code, out, err = litevision("export", "mine.safetensors")
    assert (code, out) == (2, "")
    assert err == "error: --output FILE is missing. See litevision export --help.\n"


def test_a_failed_check_is_refused_and_keeps_the_older_bundle(litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(check_bundle.__kwdefaults__, "tolerance", -1.0)
    Path("it.onnx").write_text("an older bundle of litevision")
    code, out, err = litevision("export", "mine.safetensors", "-o", "it.onnx", "--labels", "names.txt")
    assert (code, out) == (1, "")
    assert err.startswith("error: the bundle does not match its module on 4 images")
    assert err.endswith("nothing was written\n")
    assert err.count("\n") == 1
    assert Path("it.onnx").read_text() == "an older bundle of litevision"


def test_labels_may_start_with_a_byte_order_mark(litevision: Run) -> None:
    Path("names.txt").write_text("\n".join(LABELS) + "\n\n", "utf-8-sig")
    code, _, err = litevision("export", "mine.safetensors", "-o", "it.onnx", "--labels", "names.txt", "--size", "32")
    assert (code, err) == (0, "")
    assert load("it.onnx").labels == LABELS


def test_a_format_is_one_row(litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command writes it, compares it with the bundle, and the list of formats in an error has it."""

    def write(bundle: FinishedBundle, path: Path, variant: Variant) -> float:
        path.write_bytes(bundle.path.read_bytes())
        return 1e-6

    def open_it(path: Path, metadata: BundleMetadata) -> Engine:
        return open_engine(path.read_bytes(), engine_choice("onnxruntime"))

    row = ExportFormat("copy", (".copy",), "what is the same once more", "onnx", write, open_it)
    monkeypatch.setitem(FORMATS, "copy", row)
    code, out, err = litevision("export", "clothing", "-o", "it.copy")
    assert (code, err) == (0, "")
    assert out.startswith("wrote it.copy: mobilenet_v2, 10 classes, 224x224")
    assert out.splitlines()[-1].startswith("checked on 4 images in onnxruntime 1.")
    assert Path("it.copy").read_bytes() == BUNDLES["clothing"].read_bytes()
    _, _, err = litevision("export", "clothing", "-o", "it.xyz")
    assert ".copy (copy: what is the same once more)" in err


def test_a_file_that_answers_otherwise_is_refused(litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(bundle: FinishedBundle, path: Path, variant: Variant) -> float:
        graph = onnx.load(bundle.path)
        [scale] = [one for one in graph.graph.initializer if one.name == "scale"]
        scale.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(scale), "scale"))
        onnx.save(graph, path)
        return 1e-3

    def open_it(path: Path, metadata: BundleMetadata) -> Engine:
        return open_engine(path.read_bytes(), engine_choice("onnxruntime"))

    row = ExportFormat("negative", (".neg",), "negatives", "onnx", write, open_it)
    monkeypatch.setitem(FORMATS, "negative", row)
    code, out, err = litevision("export", "clothing", "-o", "it.neg")
    assert (code, out) == (1, "")
    assert err.startswith("error: it.neg does not answer as the bundle on 4 images in onnxruntime 1.")
    assert err.endswith("nothing was written\n")
    assert not Path("it.neg").exists()
