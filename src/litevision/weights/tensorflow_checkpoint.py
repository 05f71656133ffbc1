"""Reads TensorFlow checkpoints, in a process of their own: TensorFlow and torch's Triton each bring an LLVM, and the
second one to come aborts the process.
"""

import importlib.util
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from litevision.errors import MissingExtraError, WeightsError


def checkpoint_prefix(path: Path) -> Path | None:
    """The prefix of the TensorFlow checkpoint that ``path`` names, by itself or by one of its files; else None."""
    part = re.fullmatch(r"(.+)\.(?:index|meta|data-\d+-of-\d+)", path.name)
    prefix = path.with_name(part[1]) if part else path
    return prefix if prefix.parent.joinpath(f"{prefix.name}.index").is_file() else None


def read_checkpoint(prefix: Path, max_bytes: int) -> dict[str, npt.NDArray[np.generic]]:
    """Every variable of a TF-slim checkpoint by name.

    Raises:
        MissingExtraError: TensorFlow is not installed.
        WeightsError: a broken checkpoint, one of TF 2's objects, or one of more than ``max_bytes``.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingExtraError.of("Reading a TF-slim checkpoint", "slim")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "variables.npz"
        command = [sys.executable, "-P", "-m", __name__, str(prefix), str(out), str(max_bytes)]
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}  # lest the Keras within TensorFlow import torch
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["TensorFlow stopped"])[-1]
            raise WeightsError(f"{prefix} is no checkpoint that can be read: {reason}")
        with np.load(out, allow_pickle=False) as variables:
            return dict(variables)


def _dump(prefix: str, out: str, max_bytes: int) -> None:
    from tensorflow import train

    reader = train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
    kinds = reader.get_variable_to_dtype_map()
    if sum(kinds[name].size * math.prod(shape) for name, shape in shapes.items()) > max_bytes:
        sys.exit(f"it declares more than {max_bytes / 1e9:g} GB of variables")
    for name, kind in kinds.items():
        if not (kind.is_floating or kind.is_integer):
            sys.exit(f"{name} holds {kind.name}, as TF 2's checkpoints of objects do; expected TF-slim's variables")
    np.savez(out, **{name: reader.get_tensor(name) for name in shapes})


if __name__ == "__main__":
    _dump(sys.argv[1], sys.argv[2], int(sys.argv[3]))
