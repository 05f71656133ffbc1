"""Published files that other libraries have fetched: the caches of Keras, torch hub and the Hugging Face hub.

    $KERAS_HOME/models, ~/.keras/models                              <file>
    $TORCH_HOME/hub/checkpoints, ~/.cache/torch/hub/checkpoints      <file>
    $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub            models--<owner>--<name>/snapshots/<commit>/<file>

They are read and never written: a file there belongs to somebody else.
"""

import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

_HUB = re.compile(r"^/([\w.-]+)/([\w.-]+)/resolve/[^/]+/(.+)$")


def files_elsewhere(url: str) -> Iterator[Path]:
    """Yield the files in other libraries' caches that came from ``url``, by their names."""
    parts = urllib.parse.urlsplit(url)
    name = urllib.parse.unquote(parts.path).rpartition("/")[2]
    hub = _HUB.match(parts.path) if parts.hostname == "huggingface.co" else None
    found: list[Path] = []
    try:
        if hub:
            owner, repository, file = hub.groups()
            found = sorted(_hub_folder().glob(f"models--{owner}--{repository}/snapshots/*/{file}"))
        elif name:
            found = [_keras_folder() / name, _torch_folder() / name]
        yield from (path for path in found if path.is_file())
    except (OSError, RuntimeError):  # a folder that may not be read, or no home
        return


def _keras_folder() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "models")


def _torch_folder() -> Path:
    return Path(os.environ.get("TORCH_HOME") or _user_cache() / "torch", "hub", "checkpoints")


def _hub_folder() -> Path:
    given = os.environ.get("HF_HUB_CACHE")
    return Path(given) if given else Path(os.environ.get("HF_HOME") or _user_cache() / "huggingface", "hub")


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
