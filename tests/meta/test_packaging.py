"""What pip installs: versions, licences, and the files beside the code."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import litevision

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#")
LOCKS = {
    "base": (),
    "train": ("train",),
    "serve": ("serve",),
    "docs": ("docs",),
    "dev": ("train", "serve", "dev", "docs"),
    "audit": ("audit",),
}
DATA = ("py.typed", "registry/imagenet_labels.txt", "image/photos/README.md", "image/photos/elephant.jpg")


def direct() -> list[Requirement]:
    """What the package itself and the extras train, serve, dev and docs ask for."""
    lines = [line for extra in ("train", "serve", "dev", "docs") for line in EXTRAS[extra]]
    return [Requirement(line) for line in (*PROJECT["dependencies"], *lines)]


def lock(name: str) -> dict[str, tuple[str, list[str]]]:
    """The version and the hashes of each package in a lock."""
    text = (ROOT / f"lock/{name}.txt").read_text()
    found = re.findall(r"^([\w.-]+)==(\S+).*((?:\n +--hash=sha256:[0-9a-f]{64}.*)*)", text, re.MULTILINE)
    return {canonicalize_name(package): (version, re.findall("sha256:", hashes)) for package, version, hashes in found}


def installed_closure() -> Iterator[metadata.Distribution]:
    """Those, and what they ask for in turn, as installed here."""
    wanted, seen = direct(), set()
    while wanted:
        requirement = wanted.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        found = metadata.distribution(requirement.name)
        yield found
        for line in found.requires or ():
            needed, extras = Requirement(line), (*requirement.extras, "")
            if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(needed)


def test_no_dependency_is_under_the_agpl() -> None:
    licences = {}
    for found in installed_closure():
        fields = [found.metadata.get(name) or "" for name in ("License-Expression", "License")]
        text = " ".join((*fields, *found.metadata.get_all("Classifier", [])))
        # The GPL's clause 13, which scipy's wheel quotes for a library that it brings, only speaks of the AGPL.
        licences[found.name] = re.sub(
            r"13\. Use with the GNU Affero .*?14\. Revised Versions", "", text, flags=re.DOTALL
        )
    assert {"torch", "numpy", "pytest"} <= licences.keys()
    assert [name for name, licence in licences.items() if re.search(r"AGPL|Affero", licence)] == []


@pytest.mark.parametrize("requirement", direct(), ids=str)
def test_every_direct_dependency_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    pinned = {canonicalize_name(name): version for name, version in PINNED.items()}
    assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_is_pinned_as_in_the_constraints_and_has_its_hashes(name: str) -> None:
    pinned = {canonicalize_name(package): version for package, version in PINNED.items()}
    locked = lock(name)
    assert {package for package, (version, _) in locked.items() if pinned.get(package, version) != version} == set()
    assert [package for package, (_, hashes) in locked.items() if not hashes] == []


@pytest.mark.parametrize(("name", "extras"), LOCKS.items())
def test_every_lock_has_what_its_extras_ask_for(name: str, extras: tuple[str, ...]) -> None:
    locked = lock(name)
    asked = map(Requirement, [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])])
    wrong = [
        str(one) for one in asked if not one.specifier.contains(locked.get(canonicalize_name(one.name), ("0", []))[0])
    ]
    assert wrong == [], "run: python tools/lock.py"
    assert {"hatchling", "editables"} <= locked.keys()  # make the editable install


def test_torch_and_torchvision_are_pinned_as_a_pair() -> None:
    # A torchvision of another release does not load: "operator torchvision::nms does not exist".
    assert (PINNED["torch"], PINNED["torchvision"]) == ("2.15.0", "0.29.2")


def test_no_pin_belongs_to_one_kind_of_machine() -> None:
    assert [name for name in PINNED if name.startswith(("nvidia-", "cuda-", "triton"))] == []


def test_the_version_is_one() -> None:
    newest = re.search(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert litevision.__version__ == PROJECT["version"] == newest[1]


@pytest.mark.parametrize("name", DATA)
def test_data_files_lie_in_the_package_and_git_keeps_them(name: str) -> None:
    assert files("litevision").joinpath(name).is_file()
    # hatch takes the folder whole, less what git ignores.
    ignored = subprocess.run(["git", "check-ignore", "-q", f"src/litevision/{name}"], cwd=ROOT, check=False)
    assert ignored.returncode != 0


def test_the_wheel_is_the_whole_package() -> None:
    assert PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["src/litevision"]}
    assert PROJECT["license-files"] == ["LICENSE"]


def test_every_shipped_photo_has_its_licence_beside_it() -> None:
    folder = files("litevision.image") / "photos"
    stated = folder.joinpath("README.md").read_text()
    photos = [item.name for item in folder.iterdir() if item.name.endswith(".jpg")]
    assert len(photos) == 4
    assert [name for name in photos if f"`{name}`" not in stated] == []


def test_every_shipped_font_has_its_licence_beside_it() -> None:
    folder = files("litevision.image") / "fonts"
    stated = folder.joinpath("README.md").read_text()
    fonts = [item.name for item in folder.iterdir() if item.name.endswith((".ttf", ".otf"))]
    assert len(fonts) == 4
    for name in fonts:
        [row] = [line for line in stated.splitlines() if line.startswith(f"| `{name}`")]
        [licence] = re.findall(r"`(LICENSE-\w+\.txt)`", row)
        assert "ermission" in folder.joinpath(licence).read_text() or "License" in folder.joinpath(licence).read_text()


def test_the_description_that_an_index_shows_has_no_relative_links() -> None:
    text = (ROOT / PYPROJECT["project"]["readme"]).read_text()
    assert re.findall(r"\]\((?!https://)[^)]*\)|src=\"(?!https://)", text) == []
