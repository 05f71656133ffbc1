"""--quiet and --verbose: what stands on standard error, and what never does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from litevision.image.formats import EXPECTED

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("order", [("--quiet", "classify"), ("classify", "--quiet")])
def test_quiet_prints_errors_alone(folder: Path, litevision: Run, order: tuple[str, ...]) -> None:
    arguments = ("red.png", "bad.jpg", "--model", "tiny.onnx", "--csv", "out.csv")
    code, out, err = litevision(*order, *arguments)
    assert (code, out) == (1, "")
    assert err == f"error: bad.jpg: not an image that can be read; {EXPECTED}.\n"


def test_quiet_ends_with_its_command(folder: Path, litevision: Run) -> None:
    assert litevision("classify", "red.png", "more", "--model", "tiny.onnx", "--quiet")[2] == ""
    assert litevision("classify", "red.png", "more", "--model", "tiny.onnx")[2].startswith("2 images in ")


def test_verbose_says_what_is_done(folder: Path, litevision: Run) -> None:
    code, out, err = litevision("classify", "red.png", "--model", "tiny.onnx", "--verbose")
    assert (code, out) == (0, litevision("classify", "red.png", "--model", "tiny.onnx")[1])
    version, options, opened = err.splitlines()
    assert version.startswith("debug: litevision ")
    assert options.startswith("debug: inputs=('red.png',), model='tiny.onnx', ")
    assert opened.startswith("debug: opened tiny.onnx in onnxruntime fp32")


def test_verbose_shows_where_an_error_was_raised(folder: Path, litevision: Run) -> None:
    code, _, err = litevision("classify", "none.png", "--model", "tiny.onnx", "--verbose")
    assert code == 1
    assert "Traceback (most recent call last):" in err
    assert err.splitlines()[-1] == "error: none.png: No such file or directory. Check the path."


def test_an_unexpected_error_is_one_line(litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out\nof luck")

    monkeypatch.setattr("litevision.cli.models._bundle", broken)
    code, out, err = litevision("models")
    assert (code, out) == (1, "")
    assert (
        err == "error: unexpected RuntimeError: out of luck; --verbose or LITEVISION_DEBUG=1 shows where it happened.\n"
    )
    code, _, err = litevision("models", "--verbose")
    assert code == 1
    assert "Traceback" in err
    monkeypatch.setenv("LITEVISION_DEBUG", "1")
    code, _, err = litevision("models")
    assert code == 1
    assert "Traceback" in err


def test_memory_that_runs_out_is_called_so(litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("litevision.cli.models._bundle", full)
    assert litevision("models") == (1, "", "error: not enough memory.\n")


HOSTILE = "a\x1b]0;pwn\x07\nb"


@pytest.mark.parametrize(
    "command", [("classify", "red.png", "--model"), ("info",), ("lint",), ("check-data",), ("convert",)]
)
def test_names_reach_no_terminal_as_codes(command: tuple[str, ...], folder: Path, litevision: Run) -> None:
    code, out, err = litevision(*command, f"{HOSTILE}.onnx")
    assert code in (1, 2)
    assert "\x1b" not in out + err
    assert err.splitlines()[-1].startswith("error: ")
    assert "a\\x1b]0;pwn\\x07\\nb" in err


def test_cells_and_lines_are_escaped_and_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    from litevision.cli.tables import print_report
    from litevision.tables import Table

    print_report(["line \x1b[31m", Table({"name": "left"}, [("[/b]\x1b",), ("[bold]x",)])])
    assert capsys.readouterr().out == "line \\x1b[31m\nname\n[/b]\\x1b\n[bold]x\n"


def test_the_model_that_answers_unasked_is_named_once(litevision: Run) -> None:
    photo = str(Path(__file__).parents[2] / "examples/dress.jpg")
    code, out, err = litevision("classify", photo, photo, "--top", "1", "--json")
    assert code == 0
    assert '"model": "imagenet-1k"' in out
    assert err.startswith("model: imagenet-1k (mobilenet_v2, 1,000 classes; ")
    assert err.count("--model takes others\n") == 1
    assert litevision("classify", photo, "--model", "clothing")[2] == ""
    assert litevision("classify", photo, "--quiet")[2] == ""
