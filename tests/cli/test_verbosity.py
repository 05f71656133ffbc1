"""--quiet and --verbose: what stands on standard error, and what never does."""

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("order", [("--quiet", "classify"), ("classify", "--quiet")])
def test_quiet_prints_errors_alone(folder: Path, litevision: Run, order: tuple[str, ...]) -> None:
    arguments = ("red.png", "bad.jpg", "--model", "tiny.onnx", "--csv", "out.csv")
    code, out, err = litevision(*order, *arguments)
    assert (code, out) == (1, "")
    assert err == "error: bad.jpg: not an image that can be read; expected JPEG, PNG, WebP, BMP or GIF.\n"


def test_quiet_ends_with_its_command(folder: Path, litevision: Run) -> None:
    assert litevision("classify", "red.png", "more", "--model", "tiny.onnx", "--quiet")[2] == ""
    assert litevision("classify", "red.png", "more", "--model", "tiny.onnx")[2].startswith("2 images in ")


def test_verbose_says_what_is_done(folder: Path, litevision: Run) -> None:
    code, out, err = litevision("classify", "red.png", "--model", "tiny.onnx", "--verbose")
    assert (code, out) == (0, litevision("classify", "red.png", "--model", "tiny.onnx")[1])
    version, options, opened = err.splitlines()
    assert version.startswith("debug: litevision ")
    assert options.startswith("debug: ClassifyOptions(inputs=('red.png',)")
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
    assert err == "error: unexpected RuntimeError: out of luck. --verbose shows where it happened.\n"
    code, _, err = litevision("models", "--verbose")
    assert code == 1
    assert "Traceback" in err


def test_the_model_that_answers_unasked_is_named_once(litevision: Run) -> None:
    photo = str(Path(__file__).parents[2] / "examples/dress.jpg")
    code, out, err = litevision("classify", photo, photo, "--top", "1", "--json")
    assert code == 0
    assert '"model": "clothing"' in out
    assert err.startswith("clothing: dress, hat, ")
    assert err.count("give --model for others\n") == 1
    assert litevision("classify", photo, "--model", "clothing")[2] == ""
    assert litevision("classify", photo, "--quiet")[2] == ""
