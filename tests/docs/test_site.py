"""The site builds with --strict and without a network, and a reader's browser fetches nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import litevision
from pages import ROOT

# What a browser fetches by itself; a link that one may click may lead anywhere.
FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(https?://[^\"' >]+)")
FETCHED_BY_STYLE = re.compile(r"@import[^;]*https?:|url\([\"']?https?:[^)]*\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_a_page_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    assert [(page.name, found) for page in pages for found in FETCHED.findall(page.read_text())] == []
    styles = [path for path in site.rglob("*.css") if FETCHED_BY_STYLE.search(path.read_text())]
    assert styles == []


@pytest.mark.slow
def test_the_reference_has_every_public_name_with_its_docstring(site: Path) -> None:
    reference = (site / "api.html").read_text()
    names = [name for name in litevision.__all__ if name != "__version__"]
    assert [name for name in names if f'id="litevision.{name}"' not in reference] == []
    assert "&gt;&gt;&gt;" in reference  # examples are shown as code


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    pages = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if f" {page}\n" not in menu and not page.startswith("decisions/0")] == []
