"""Writing a page: what is in it, what it replaces and refuses, and where onnxruntime-web comes from."""

import hashlib
import io
import os
import re
import stat
import tarfile
from pathlib import Path

import pytest

from bundles import write_bundle
from litevision.errors import DownloadError, FileMissingError, HashMismatchError, UsageError
from litevision.outputs import check_output, kind_named
from litevision.web import onnxruntime_web
from litevision.web.onnxruntime_web import MODULE, VERSION, WASM, read_runtime
from litevision.web.page import write_page

FILES = ["LICENSE.onnxruntime-web.txt", "index.html", "litevision.js", "model.onnx", WASM, MODULE]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LITEVISION_OFFLINE", raising=False)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = write_bundle(tmp_path / "colours.onnx")
    path.with_suffix(".md").write_text("# The card </script><b>")
    return path


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """What a dist folder looks like to who only copies it."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / MODULE).write_text(f"/*!\n * ONNX Runtime Web v{VERSION}\n */")
    (folder / WASM).write_bytes(b"\0asm")
    return folder


def npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program in place of npm, alone on the path."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")


def test_a_folder_holds_all_that_its_page_needs(tmp_path: Path, bundle: Path, runtime: Path) -> None:
    written = write_page(str(bundle), tmp_path / "deep/site", runtime=runtime)
    site = tmp_path / "deep/site"
    assert sorted(path.name for path in site.iterdir()) == sorted(written) == sorted(FILES)
    assert (site / "model.onnx").read_bytes() == bundle.read_bytes()
    assert (site / WASM).read_bytes() == b"\0asm"
    page = (site / "index.html").read_text("utf-8")
    assert re.findall(r"https?://|//\w[\w.]*\.\w|@import|url\(", page) == []
    assert "default-src 'none'; script-src 'sha256-" in page
    assert "'unsafe-" not in page.replace("'wasm-unsafe-eval'", "")
    assert page.count("</script>") == 2  # the card's stands escaped


def test_a_page_replaces_itself_alone(tmp_path: Path, bundle: Path, runtime: Path) -> None:
    for output in (tmp_path / "site", tmp_path / "one.html"):
        write_page(str(bundle), output, runtime=runtime)
        write_page(str(bundle), output, runtime=runtime)
    assert (tmp_path / "one.html").read_text("utf-8").count("</script>") == 6
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == sorted(FILES)

    (tmp_path / "site/model.onnx").write_bytes(b"\x08\x07another's")
    with pytest.raises(UsageError, match=r"site/model\.onnx: .*would be overwritten; expected a bundle"):
        write_page(str(bundle), tmp_path / "site", runtime=runtime)

    mine = tmp_path / "mine.html"
    mine.write_text("<!doctype html><title>Mine</title>")
    with pytest.raises(UsageError, match=r"mine\.html: another file of text, which would be overwritten"):
        write_page(str(bundle), mine, runtime=runtime)
    assert mine.read_text().endswith("<title>Mine</title>")


def test_others_folders_stay_what_they_are(tmp_path: Path, bundle: Path, runtime: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    bundle.replace(run / "model.onnx")
    with pytest.raises(UsageError, match=r"run: a folder with other files, such as model\.onnx; expected a new"):
        write_page(str(run), run, runtime=runtime)
    own = tmp_path / "own"
    own.mkdir()
    (own / "index.html").write_text("<title>My site</title>")
    with pytest.raises(UsageError, match=r"own/index\.html: another file of text, which would be overwritten"):
        write_page(str(run), own, runtime=runtime)
    assert [path.name for path in own.iterdir()] == ["index.html"]
    (tmp_path / "colours").write_text("text")
    with pytest.raises(UsageError, match=r"colours: another file of text; expected a folder"):
        write_page(str(run), tmp_path / "colours", runtime=runtime)


def test_the_command_line_guards_both_forms(tmp_path: Path) -> None:
    kind = kind_named("page", tmp_path / "a.HTML", "-o")
    assert kind is not None
    assert kind_named("page", f"{tmp_path}/a.html{os.sep}", "-o") is None
    with pytest.raises(UsageError, match="not a file that can be written"):
        check_output(tmp_path / "none/a.html", kind, option="-o")


def test_a_runtime_lies_in_the_folder_or_its_dist(
    tmp_path: Path, runtime: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_runtime(runtime) == read_runtime(runtime.parent)
    assert capsys.readouterr().err == ""
    (runtime / MODULE).write_text("/*!\n * ONNX Runtime Web v1.29.0\n */")
    read_runtime(runtime)
    assert f"onnxruntime-web 1.29.0 of {runtime}: pages are tested with {VERSION}." in capsys.readouterr().err
    (runtime / WASM).unlink()
    with pytest.raises(FileMissingError, match=r"dist: ort\.wasm.* are not both there; .*npm pack"):
        read_runtime(runtime)


def test_without_npm_the_message_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadError, match=r"not in the cache, and npm is not installed\. Run 'npm pack "):
        read_runtime()
    monkeypatch.setenv("LITEVISION_OFFLINE", "1")
    npm(tmp_path / "bin", monkeypatch, "exit 0")
    with pytest.raises(DownloadError, match="not in the cache, and offline mode is on"):
        read_runtime()


def test_npm_that_fails_or_fetches_something_else_leaves_nothing(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm(tmp_path / "bin", monkeypatch, "echo 'npm error code E404 https://me:secret@host/x' >&2; exit 1")
    with pytest.raises(DownloadError, match=r"npm cannot fetch it \(npm error code E404 https://host/x\)\. Run"):
        read_runtime()
    (tmp_path / "bin/npm").write_text('#!/bin/sh\necho no > "$4/onnxruntime-web-1.tgz"\n')
    with pytest.raises(HashMismatchError, match=r"npm fetched a file with the sha512 \w{16}\.\.\., expected ab4cbe26"):
        write_page(str(bundle), tmp_path / "site")
    assert not (tmp_path / "site").exists()
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_what_npm_fetched_is_kept_and_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as package:
        for name, content in ((MODULE, b"module"), (WASM, b"\0asm")):
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    (tmp_path / "package.tgz").write_bytes(packed.getvalue())
    monkeypatch.setattr(onnxruntime_web, "_SHA512", hashlib.sha512(packed.getvalue()).hexdigest())
    digests = {MODULE: hashlib.sha256(b"module").hexdigest(), WASM: hashlib.sha256(b"\0asm").hexdigest()}
    monkeypatch.setattr(onnxruntime_web, "_SHA256", digests)
    npm(tmp_path / "bin", monkeypatch, f'echo >> {tmp_path}/calls; cp {tmp_path}/package.tgz "$4/"')
    assert read_runtime() == read_runtime() == (b"module", b"\0asm")
    assert (tmp_path / "calls").read_text() == "\n"
    (tmp_path / "cache/onnxruntime-web" / VERSION / WASM).write_bytes(b"damaged")
    assert read_runtime().wasm == b"\0asm"
    assert (tmp_path / "calls").read_text() == "\n\n"
