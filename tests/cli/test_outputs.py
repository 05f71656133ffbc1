"""No command writes an output over an input or over what it did not write: every option with every kind of victim."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bundles import write_bundle
from images import encoded
from litevision.cli.commands import COMMANDS, load_command

Run = Callable[..., tuple[int, str, str]]

GREY = np.full((8, 8, 3), 99, np.uint8)
# Each with the rest of a command line that is otherwise right; NEW stands for the output.
OUTPUTS = {
    ("classify", "--csv"): ("classify", "red.png", "--model", "tiny.onnx", "--csv", "NEW"),
    ("detect", "--csv"): ("detect", "red.png", "--csv", "NEW"),
    ("detect", "--coco"): ("detect", "red.png", "--coco", "NEW"),
    ("evaluate", "--csv"): ("evaluate", "tiny.onnx", "data", "--csv", "NEW"),
    ("evaluate", "--json"): ("evaluate", "tiny.onnx", "data", "--json", "NEW"),
    ("evaluate", "--predictions"): ("evaluate", "tiny.onnx", "data", "--predictions", "NEW"),
    ("check-data", "--json"): ("check-data", "data", "--json", "NEW"),
    ("adopt", "--output"): ("adopt", "tiny.onnx", "-o", "NEW"),
    ("quantize", "--output"): ("quantize", "tiny.onnx", "--data", "data", "-o", "NEW"),
    ("bench", "--csv"): ("bench", "tiny.onnx", "--csv", "NEW"),
    ("choose", "--csv"): ("choose", "--csv", "NEW"),
    ("choose", "--plot"): ("choose", "--plot", "NEW"),
    ("guidelines", "--csv"): ("guidelines", "--csv", "NEW"),
    ("guidelines", "--plot"): ("guidelines", "--plot", "NEW"),
    ("profile", "--html"): ("profile", "tiny.onnx", "--html", "NEW"),
    ("draw", "--output"): ("draw", "mobilenet_v2", "-o", "NEW"),
    ("export", "--output"): ("export", "clothing", "-o", "NEW"),
    ("convert", "--output"): ("convert", "clothing", "-o", "NEW"),
    ("export", "--save-map"): ("export", "clothing", "-o", "new.onnx", "--save-map", "NEW"),
    ("convert", "--save-map"): ("convert", "clothing", "-o", "new.pth", "--save-map", "NEW"),
}
FOLDERS = {
    ("detect", "--save"): ("detect", "red.png", "--save", "NEW"),
    ("detect", "--save-crops"): ("detect", "red.png", "--save-crops", "NEW"),
    ("detect", "--save-labels"): ("detect", "red.png", "--save-labels", "NEW"),
    ("page", "--output"): ("page", "tiny.onnx", "-o", "NEW"),
    ("batch", "--output"): ("batch", "red.png", "--model", "tiny.onnx", "-o", "NEW"),
    ("compare", "--output"): ("compare", "centernet", "data", "-o", "NEW"),
    ("train", "--output"): ("train", "data", "-o", "NEW"),
    ("average", "--output"): ("average", "data", "--name", "x", "-o", "NEW"),
}
VICTIMS: dict[str, Callable[[Path], object]] = {
    "photo.jpg": lambda path: path.write_bytes(encoded(GREY, "JPEG")),
    "photo.png": lambda path: path.write_bytes(encoded(GREY)),
    "photo.webp": lambda path: path.write_bytes(encoded(GREY, "WEBP")),
    "scan.tif": lambda path: path.write_bytes(encoded(GREY, "TIFF")),
    "clip.mp4": lambda path: path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(50)),
    "other.onnx": lambda path: path.write_bytes(b"\x08\x09\x12\x07pytorch" + bytes(50)),
    "things.zip": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(50)),
    "thing.pkl": lambda path: path.write_bytes(b"\x80\x04\x95" + bytes(50)),
    "labels.csv": lambda path: path.write_text("file,class\na.jpg,cat\n"),
    "annotations.json": lambda path: path.write_text('{"images": [], "annotations": []}'),
    "notes.txt": lambda path: path.write_text("Dear diary"),
    "page.html": lambda path: path.write_text("<!DOCTYPE html><title>Mine</title>"),
    "logo.svg": lambda path: path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "no_suffix": lambda path: path.write_bytes(encoded(GREY, "JPEG")),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with an image, a bundle, and a folder of data."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("red.png").write_bytes(encoded(GREY))
    write_bundle(Path("tiny.onnx"))
    return tmp_path


def refused(litevision: Run, command: tuple[str, ...], output: str) -> str:
    code, out, err = litevision(*(output if it == "NEW" else it for it in command))
    assert (code, out) == (1, ""), command
    assert err.count("\n") == 1
    assert str(Path(output)) in err
    return err


@pytest.mark.parametrize("option", OUTPUTS, ids=" ".join)
def test_no_output_replaces_what_it_did_not_write(place: Path, litevision: Run, option: tuple[str, str]) -> None:
    for name, make in VICTIMS.items():
        if option == ("convert", "--output") and name == "things.zip":
            continue  # torch's files are zip files
        make(Path(name))
        Path(f"link-{name}").symlink_to(name)
        before = Path(name).read_bytes()
        for output in (name, f"link-{name}"):
            refused(litevision, OUTPUTS[option], output)
        assert Path(name).read_bytes() == before
    assert not list(place.glob(".*part*"))


@pytest.mark.parametrize("option", FOLDERS, ids=" ".join)
def test_no_folder_of_outputs_is_a_file(place: Path, litevision: Run, option: tuple[str, str]) -> None:
    for name, make in VICTIMS.items():
        make(Path(name))
        before = Path(name).read_bytes()
        is_page = (option[0], name) == ("page", "page.html")  # which it may write as one file
        expected = "expected a page of litevision" if is_page else "expected a folder"
        assert expected in refused(litevision, FOLDERS[option], name)
        assert Path(name).read_bytes() == before


@pytest.mark.parametrize("option", OUTPUTS, ids=" ".join)
def test_no_file_of_outputs_is_a_folder(place: Path, litevision: Run, option: tuple[str, str]) -> None:
    folder = "folder.onnx" if option == ("export", "--output") else "folder.png"  # whose suffix says what is written
    Path(folder).mkdir()
    assert "not a file that can be written" in refused(litevision, OUTPUTS[option], folder)


@pytest.mark.parametrize(
    ("command", "victim"),
    [
        (("classify", "red.png", "--model", "tiny.onnx", "--csv", "NEW"), "tiny.onnx"),
        (("classify", "red.png", "more.png", "--csv", "NEW"), "more.png"),
        (("export", "weights.pth", "-o", "NEW", "--labels", "tiny.onnx"), "tiny.onnx"),
        (("export", "tiny.onnx", "-o", "NEW"), "tiny.onnx"),
        (("convert", "tiny.pth", "-o", "NEW"), "tiny.pth"),
        (("evaluate", "tiny.onnx", "table.csv", "--predictions", "NEW"), "table.csv"),
        (("bench", "tiny.onnx", "--csv", "NEW"), "tiny.onnx"),
        (("profile", "tiny.onnx", "--html", "NEW"), "tiny.onnx"),
    ],
)
def test_no_output_is_an_input(place: Path, litevision: Run, command: tuple[str, ...], victim: str) -> None:
    Path("more.png").write_bytes(encoded(GREY))
    Path("tiny.pth").write_bytes(b"PK\x03\x04")
    Path("table.csv").write_text("path,label,predicted,score,correct\n")  # as the option writes it
    before = Path(victim).read_bytes()
    Path("hard").hardlink_to(victim)
    for output in (victim, f"./{victim}", "hard"):
        message = refused(litevision, command, output)
        if output == victim:
            assert f"{victim}: an input, which would be overwritten; expected " in message
    assert Path(victim).read_bytes() == before


def test_what_a_shell_makes_of_a_pattern_behind_an_option_is_refused(place: Path, litevision: Run) -> None:
    assert refused(litevision, ("classify", "--csv", "NEW", "tiny.onnx", "--model", "tiny.onnx"), "red.png") == (
        "error: --csv red.png: a PNG image, which would be overwritten; expected a CSV file, new or written before. "
        "Give a new name behind --csv, such as results.csv.\n"
    )
    assert "a name for another kind of file" in refused(litevision, ("classify", "red.png", "--csv", "NEW"), "none.jpg")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--csv", "x", "--coco", "./x"), "--csv and --coco both name"),
        (("--coco", "-", "--csv", "-"), "--csv - and --coco - each need standard output for themselves."),
        (("--coco", "-", "--json"), "--json and --coco - each need standard output for themselves."),
        (("--json", "--jsonl", "--csv", "-"), "--json, --jsonl and --csv - each need standard output"),
        (("--save", "x", "--csv", "x"), "both name x"),
    ],
)
def test_two_outputs_of_one_name_are_refused(
    place: Path, litevision: Run, options: tuple[str, ...], message: str
) -> None:
    code, out, err = litevision("detect", "red.png", *options)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert message in err


@pytest.mark.parametrize("option", ["--csv", "--coco"])
def test_a_second_run_replaces_the_output_of_the_first(place: Path, litevision: Run, option: str) -> None:
    command = ("detect", "red.png", "--engine", "onnxruntime", option, "out")
    assert [litevision(*command)[0] for _ in range(2)] == [0, 0]


def test_every_option_that_writes_is_guarded() -> None:
    """An option for an output says in ``writes`` what it writes, and the matrix above has it."""
    guarded = set()
    for name in COMMANDS:
        for field in dataclasses.fields(load_command(name)[1]):
            option, writes = f"--{field.name.replace('_', '-')}", field.metadata.get("writes")
            help_text = str(field.metadata["help"])
            if field.metadata.get("short") == "-o" or " into this f" in help_text:
                assert writes, (name, option)
            if field.name in ("json", "jsonl") and field.type is bool:
                assert writes == "stdout", (name, option)
            elif writes:
                guarded.add((name, option))
    assert guarded == {*OUTPUTS, *FOLDERS}
