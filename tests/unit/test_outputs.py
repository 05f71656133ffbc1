"""The guard of outputs: what is replaced, and what is somebody's."""

import os
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from litevision.cost.draw import Drawing
from litevision.errors import UsageError
from litevision.outputs import check_output, kind_named, refuse_equal_outputs
from litevision.plotting import plot_style, save_figure

CSV = kind_named("csv:path,label,", "out.csv")
JSON = kind_named('json:[{"id":|[]', "out.json")


def test_a_new_name_an_empty_file_and_an_earlier_output_are_taken(tmp_path: Path) -> None:
    check_output(tmp_path / "new.csv", CSV)
    (tmp_path / "empty").touch()
    check_output(tmp_path / "empty", CSV)
    for name, text in {"old.csv": "path,label,score\n", "bom.csv": "\ufeffpath,label,x\n"}.items():
        (tmp_path / name).write_text(text, "utf-8")
        check_output(tmp_path / name, CSV)
    for text in ('[\n {"id" : 1}]', "[]\n"):
        (tmp_path / "old.json").write_text(text)
        check_output(tmp_path / "old.json", JSON)
    check_output(os.devnull, CSV)


@pytest.mark.parametrize("text", ["path\n", "label,path\n", "hello", '{"path": 1}', "path;label;score"])
def test_text_of_another_kind_is_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"--csv .*: another file of text, which would be overwritten; expected a CSV"):
        check_output(file, CSV, option="--csv")


def test_an_input_is_kept_under_every_name_it_has(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("path,label,score\n")
    (tmp_path / "link.csv").symlink_to(table)
    (tmp_path / "hard.csv").hardlink_to(table)
    (tmp_path / "folder").symlink_to(tmp_path)
    for path in (table, tmp_path / "link.csv", tmp_path / "hard.csv", tmp_path / "folder/table.csv"):
        with pytest.raises(UsageError, match="input"):
            check_output(path, CSV, inputs=["others", table])


def test_a_run_s_own_files_are_its_inputs(tmp_path: Path) -> None:
    for name in ("model.onnx", "classes.csv"):
        (tmp_path / name).write_text("path,label,litevision")
    with pytest.raises(UsageError, match=r"model\.onnx: an input, which would be overwritten"):
        check_output(tmp_path / "model.onnx", kind_named("export", "model.onnx"), inputs=[tmp_path])
    check_output(tmp_path / "classes.csv", CSV)


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UsageError, match=r"photo\.jpg: a JPEG image; expected a folder"):
        check_output(tmp_path / "photo.jpg", None, option="--save")
    with pytest.raises(UsageError, match="not a file that can be written"):
        check_output(tmp_path, CSV)
    (tmp_path / "nowhere").symlink_to("missing/further")
    for path in ("none/out.csv", "nowhere", "new.csv/"):
        with pytest.raises(UsageError, match="not a file that can be written"):
            check_output(f"{tmp_path}/{path}", CSV)
    check_output(tmp_path / "none/model.onnx", kind_named("export", "model.onnx"))  # which makes its folder


def test_two_names_of_one_file_are_one(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "folder").symlink_to(".")
    refuse_equal_outputs([("--csv", tmp_path / "a"), ("--coco", tmp_path / "c")])
    for first, second in (("a", "b"), ("new", "folder/new"), ("new", "folder/../" + tmp_path.name + "/new")):
        with pytest.raises(UsageError, match="--csv and --coco both name"):
            refuse_equal_outputs([("--csv", tmp_path / first), ("--coco", tmp_path / second)])


@pytest.mark.parametrize("name", ["out.svg", "out.png", "out.pdf", "out.dot"])
def test_a_second_drawing_replaces_the_first(tmp_path: Path, name: str) -> None:
    drawing = Drawing('digraph network {\na [pos="1,1"];\n}')
    for _ in range(2):
        drawing.save(tmp_path / name)
    (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    with pytest.raises(UsageError, match="a PNG image, which would be overwritten"):
        drawing.save(tmp_path / name)


@pytest.mark.parametrize(
    ("writes", "taken", "suggested"),
    [
        ("drawing", "photo.jpg", "results.png"),
        ("drawing", "photo.dot", "results.dot"),
        ("weights", "photo.jpg", "results.safetensors"),
        ("weights", "photo.pth", "results.pth"),
        ("export", "photo.jpg", "results.onnx"),
        ("profile", "photo.jpg", "results.html"),
        ("json:{", "photo.jpg", "results.json"),
    ],
)
def test_a_name_is_suggested_that_the_option_takes(tmp_path: Path, writes: str, taken: str, suggested: str) -> None:
    (tmp_path / taken).write_bytes(b"\xff\xd8\xff\xe0" + bytes(99))
    with pytest.raises(UsageError, match=f"a JPEG image, which would be overwritten; .*such as {suggested}"):
        check_output(tmp_path / taken, kind_named(writes, taken))


@pytest.mark.parametrize("name", ["out.svg", "out.png"])
def test_a_second_plot_replaces_the_first(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    for _ in range(2):
        check_output(file, kind_named("plot", file))
        with plot_style():
            save_figure(Figure(), file)
