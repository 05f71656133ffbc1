"""Folders of strangers, and that every writer of a file goes by the one helper that leaves no half-written one."""

import ast
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from litevision.errors import UnsafeFileError
from litevision.files import atomic_write, refuse_links

SRC = Path(__file__).parents[2] / "src" / "litevision"


def link_to_a_file(place: Path) -> None:
    place.symlink_to(Path("..") / "victim.txt")


def link_to_a_folder(place: Path) -> None:
    place.symlink_to(Path("..").resolve(), target_is_directory=True)


def link_to_nothing(place: Path) -> None:
    place.symlink_to("nothing")


def hard_link(place: Path) -> None:
    (place.parent / "plain").write_text("plain")
    os.link(place.parent / "plain", place)


def fifo(place: Path) -> None:
    os.mkfifo(place)


def listening_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(place))


@pytest.mark.parametrize("where", ["model_card.md", "cache-0", "tensorboard/events/deep"])
@pytest.mark.parametrize(
    "make",
    [link_to_a_file, link_to_a_folder, link_to_nothing, hard_link, fifo, listening_socket],
    ids=lambda it: it.__name__,
)
def test_a_folder_in_which_a_name_leads_elsewhere_is_refused(
    make: Callable[[Path], None], where: str, tmp_path: Path
) -> None:
    place = tmp_path / "run" / where
    place.parent.mkdir(parents=True)
    make(place)
    with pytest.raises(UnsafeFileError, match=r"(link|neither a file nor a folder).*; a run holds plain files alone"):
        refuse_links(tmp_path / "run")


def test_plain_files_and_a_link_to_the_whole_folder_are_taken(tmp_path: Path) -> None:
    (tmp_path / "run/deep/deeper").mkdir(parents=True)
    (tmp_path / "run/deep/deeper/a").write_text("a")
    (tmp_path / "latest").symlink_to("run")
    refuse_links(tmp_path / "latest")


def test_what_is_written_takes_the_place_of_a_link_and_leaves_what_it_led_to(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "card.md").symlink_to("victim")
    with atomic_write(tmp_path / "card.md") as partial:
        partial.write_text("card")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "card.md").is_symlink()


UNFINISHED = {"partial", "temporary", "part", "unfinished"}
"""What a file is called that is not yet in its place."""
NEVER_IN_PLACE = {"os.devnull", "Path(os.devnull)", "_note(part)", "path.with_name(path.name + '.lock')"}
TO_DEVICES = {"output_stream"}
"""The function that also writes to pipes and devices that the user names, which have no other place."""
CONTAINERS = {"write_safetensors", "write_torch"}
"""Writers of `litevision.weights.writers`, which `litevision.weights.save` gives the unfinished file."""


def writers(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """The calls that write a file, with the function that they stand in."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for call in ast.walk(function):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute | ast.Name):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
            if name == "open" and any(ast.unparse(it) == "'x'" for it in call.args):
                continue  # it writes over nothing, and follows no link
            modes = [it.value for it in call.args if isinstance(it, ast.Constant) and isinstance(it.value, str)]
            if name in ("write_text", "write_bytes") or (
                name == "open" and any(set(it) <= set("wxa+bt") for it in modes)
            ):
                yield function.name, call


def test_every_writer_goes_by_the_atomic_helper() -> None:
    bypassing = []
    for path in SRC.rglob("*.py"):
        for function, call in writers(ast.parse(path.read_text("utf-8"))):
            method = isinstance(call.func, ast.Attribute) and ast.unparse(call.func) != "av.open"
            receiver = call.func.value if method and isinstance(call.func, ast.Attribute) else call.args[0]
            named = re.sub(r"^(?:str\((\w+)\)|(\w+) / \w+)$", r"\1\2", ast.unparse(receiver))
            if named not in UNFINISHED | NEVER_IN_PLACE and function not in TO_DEVICES | CONTAINERS:
                bypassing.append(f"{path.relative_to(SRC)}:{call.lineno} {function}: {ast.unparse(call)[:80]}")
    assert bypassing == []
