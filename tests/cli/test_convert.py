import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from litevision.cli import main
from litevision.models import Network
from litevision.weights.convert.layout import BATCH_COUNTS, LayerMapping, Layout
from litevision.weights.layouts import LAYOUTS, LayoutRow, layout_named
from litevision.weights.load import load_weights
from litevision.weights.save import save_weights
from litevision.weights.writers import write_torch
from weight_files import assert_same_weights, network

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``v2.pth`` in torchvision's layout and ``v1.h5`` in Keras'."""
    folder = tmp_path_factory.mktemp("files")
    save_weights(network("mobilenet_v2", width_mult=0.35, num_classes=10), folder / "v2.pth", "torchvision")
    save_weights(network("mobilenet_v1", dialect="keras", width_mult=0.25, num_classes=10), folder / "v1.h5", "keras")
    return folder


@pytest.fixture
def run(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in a folder with those files."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def run_convert(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["litevision", "convert", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run_convert


def test_description(run: Run) -> None:
    assert run("v2.pth") == (
        0,
        "source       v2.pth\n"
        "layout       torchvision\n"
        "model        mobilenet_v2\n"
        "dialect      torchvision\n"
        "width_mult   0.35\n"
        "num_classes  10\n"
        "num_params   408938\n",
        "",
    )


def test_real_file(run: Run, shared: Path) -> None:
    file = shared / "weights/mobilenet_v1_025_in1k.weights.h5"
    code, out, err = run(str(file), "-o", "v1.safetensors")
    assert (code, err) == (0, "")
    assert out == (
        f"source          {file}\n"
        "layout          keras\n"
        "model           mobilenet_v1\n"
        "dialect         keras\n"
        "width_mult      0.25\n"
        "num_classes     1000\n"
        "num_params      470072\n"
        "written         v1.safetensors\n"
        "written_layout  native\n"
    )
    assert_same_weights(load_weights("v1.safetensors").network, load_weights(file).network)


def test_json(run: Run) -> None:
    code, out, err = run("v1.h5", "--json", "-o", "back.weights.h5", "--to", "keras")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "source": "v1.h5",
        "layout": "keras",
        "model": "mobilenet_v1",
        "dialect": "keras",
        "width_mult": 0.25,
        "num_classes": 10,
        "num_params": 215642,
        "written": "back.weights.h5",
        "written_layout": "keras",
    }


@pytest.mark.parametrize(
    ("source", "layout", "output"),
    [
        ("v2.pth", "torchvision", "out.pth"),
        ("v2.pth", "torchvision", "out.safetensors"),
        ("v2.pth", "native", "out.safetensors"),
        ("v1.h5", "native", "out.pth"),
        ("v1.h5", "keras", "out.h5"),
        ("v1.h5", "keras", "out.weights.h5"),
    ],
)
def test_every_layout_can_be_written(run: Run, source: str, layout: str, output: str) -> None:
    code, out, _ = run(source, "-o", output, "--to", layout)
    assert (code, out.splitlines()[-1]) == (0, f"written_layout  {layout}")
    written = load_weights(output)
    assert written.layout.name == layout
    assert_same_weights(written.network, load_weights(source).network)


def test_what_was_changed_is_said(run: Run) -> None:
    tensors = torch.load("v2.pth", weights_only=True)
    tensors |= {n: torch.cat([t[:1], t]) for n, t in tensors.items() if n.startswith("classifier")}
    torch.save(tensors, "background.pth")
    _, out, _ = run("background.pth", "--drop-background")
    assert "num_classes  10\n" in out
    assert "background   class 0 of the file was left out\n" in out
    _, out, _ = run("v2.pth", "--classes", "3", "--reset-classifier")
    assert "num_classes  3\n" in out
    assert "reset        the classifier starts from scratch\n" in out
    body = {name: tensor for name, tensor in tensors.items() if not name.startswith(("classifier", "features.18"))}
    torch.save(body, "body.pth")
    _, out, _ = run("body.pth")
    assert "num_classes     0\n" in out
    assert "final_endpoint  block_16\n" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothere.pth",), "no weight file at nothere.pth"),
        (("nothere",), "no weight set"),
        (("note.txt",), "note.txt is no weight file that litevision reads"),
        (("v2.pth", "--model", "mobilenet_v1"), "v2.pth: these are not "),
        (("v2.pth", "--model", "mobilenet_v9"), "no model 'mobilenet_v9'. Did you mean"),
        (("v2.pth", "--classes", "3"), "v2.pth: these are not torchvision weights of mobilenet_v2"),
        (("v2.pth", "--width", "0"), "width_mult must be a number above 0, got 0"),
        (("v2.pth", "--width", "0.5"), "v2.pth: these are not torchvision weights of mobilenet_v2"),
        (("v2.pth", "--to", "keras"), "the layout 'keras' holds networks of the dialects keras; got mobilenet_v2"),
        (
            ("v2.pth", "--to", "nobody"),
            "no layout to write 'nobody'. Known: torchvision, timm, nanodet, litevision, native",
        ),
        (("v1.h5", "--to", "keras"), "the layout 'keras' is written to .weights.h5 or .h5, got 'out.pth'"),
        (("v2.pth", "-o", "v2.pth/out.pth"), "--output v2.pth/out.pth: not a file that can be written."),
    ],
)
def test_an_error_is_one_line_and_writes_nothing(run: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("note.txt").write_text("no weights")
    before = sorted(Path.cwd().iterdir())
    code, out, err = run("-o", "out.pth", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert sorted(Path.cwd().iterdir()) == before


def test_a_layout_is_one_row(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered is written and detected, and help and messages name it."""

    def shouted(network: Network) -> Iterator[LayerMapping]:
        for mapping in layout_named("native").mappings["mobilenet_v2"](network):
            yield LayerMapping(mapping.ours, mapping.ours.upper())

    layout = Layout("shouted", ("torchvision",), {"mobilenet_v2": shouted}, dropped=BATCH_COUNTS)
    row = LayoutRow("shouted", "a shouter", "names in capitals", ("torch",), lambda: layout, {".pth": write_torch})
    monkeypatch.setitem(LAYOUTS, "shouted", row)
    code, out, err = run("v2.pth", "--to", "shouted", "-o", "loud.pth")
    assert (code, err, out.splitlines()[-1]) == (0, "", "written_layout  shouted")
    assert "FEATURES.STEM.CONV.weight" in torch.load("loud.pth", weights_only=True)
    code, out, err = run("loud.pth")
    assert (code, err, out.splitlines()[1]) == (0, "", "layout       shouted")
    assert_same_weights(load_weights("loud.pth").network, load_weights("v2.pth").network)
    _, _, err = run("v2.pth", "--to", "shouting")
    assert "Did you mean 'shouted'?" in err


def test_what_is_known_of_the_weights_goes_along(run: Run) -> None:
    """A run or bundle, converted, keeps its labels and its preprocessing."""
    assert run("clothing", "-o", "clothing.safetensors")[0] == 0
    expected, found = load_weights("clothing").network, load_weights("clothing.safetensors").network
    assert found.pretrained == expected.pretrained
    assert_same_weights(found, expected)
