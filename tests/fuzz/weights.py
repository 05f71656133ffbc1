"""Fuzz targets: weight files, the checkpoints of a run, and its plan and recipe."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from folded_files import write_ncnn, write_onnx
from fuzz.mutations import (
    mutate_bytes,
    mutate_json,
    mutate_protobuf,
    mutate_text,
    of_safetensors_header,
    within_zip,
)
from fuzz.target import Target
from litevision.models import Network
from litevision.models.nanodet import NanoDetConfig
from litevision.training.checkpoint import read_checkpoint
from litevision.training.plan import read_plan_without_images
from litevision.training.recipe_file import make_recipe, read_recipe
from litevision.training.result import Run
from litevision.weights.arrays import read_arrays
from litevision.weights.load import load_network
from litevision.weights.save import save_weights
from litevision.weights.tensorflow_checkpoint import read_checkpoint as read_checkpoint_of_slim
from litevision.weights.trained import open_trained
from trainings import tiny_network
from weight_files import network, stored

RUNS = Path(__file__).parents[1] / "fixtures/v0_1_0"


def _small(dialect: str) -> Network:
    return network("mobilenet_v1", dialect=dialect, width_mult=0.25, num_classes=2)


def _write_safetensors(folder: Path) -> Iterator[Path]:
    yield save_weights(tiny_network(), folder / "own.safetensors")
    yield save_weights(_small("timm"), folder / "timm.safetensors", "timm")


def _write_torch(folder: Path) -> Iterator[Path]:
    yield save_weights(tiny_network(), folder / "own.pth")
    yield save_weights(_small("timm"), folder / "timm.pth", "timm")
    old = folder / "old.pth"
    torch.save(torch.load(folder / "timm.pth"), old, _use_new_zipfile_serialization=False)
    yield old


def _write_archives(folder: Path) -> Iterator[Path]:
    state = stored(_small("timm"), "timm").tensors
    np.savez(folder / "arrays.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    yield folder / "arrays.npz"
    with zipfile.ZipFile(folder / "packed.zip", "w") as members:
        members.write(save_weights(_small("timm"), folder / "inner.safetensors", "timm"), "a.safetensors")
    yield folder / "packed.zip"
    # As torch.export saves a program, whose weights alone are read.
    rows = {}
    with zipfile.ZipFile(folder / "program.pt2", "w") as members:
        for number, (name, tensor) in enumerate(state.items()):
            dtype = {"torch.float32": 7, "torch.int64": 5}[str(tensor.dtype)]
            meta = {
                "dtype": dtype,
                "sizes": [{"as_int": side} for side in tensor.shape],
                "strides": [{"as_int": stride} for stride in tensor.stride()],
                "storage_offset": {"as_int": 0},
            }
            rows[name] = {"path_name": f"weight_{number}", "use_pickle": False, "tensor_meta": meta}
            members.writestr(f"a/data/weights/weight_{number}", tensor.numpy().tobytes())
        members.writestr("a/data/weights/model_weights_config.json", json.dumps({"config": rows}))
    yield folder / "program.pt2"


def _write_hdf5(folder: Path) -> Iterator[Path]:
    yield save_weights(_small("keras"), folder / "a.h5", "keras")
    yield save_weights(_small("keras"), folder / "a.weights.h5", "keras")
    archive = folder / "a.keras"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("config.json", "{}")
        members.writestr("model.weights.h5", (folder / "a.weights.h5").read_bytes())
    yield archive


def _write_tensorflow(folder: Path) -> Iterator[Path]:
    for file in sorted((RUNS.parent / "tf_slim").iterdir()):
        yield Path(shutil.copy(file, folder))


def _write_ncnn(folder: Path) -> Iterator[Path]:
    write_ncnn(NanoDetConfig("nanodet_m", 2).build(), folder / "it.ncnn.param", half=True)
    yield folder / "it.ncnn.param"
    yield folder / "it.ncnn.bin"


def _write_folded_onnx(folder: Path) -> Iterator[Path]:
    write_onnx(NanoDetConfig("nanodet_m", 2).build(), folder / "it.onnx")
    yield folder / "it.onnx"


def _load(folder: Path, file: Path) -> None:
    load_network(file)


def _load_variables(folder: Path, file: Path) -> None:
    read_checkpoint_of_slim(folder / "tiny.ckpt", 1_000_000)


def _write_published(folder: Path) -> Iterator[Path]:
    """Files that are read without torch; HDF5 has its own target."""
    yield from _write_torch(folder)
    yield from _write_safetensors(folder)


def _read_published(folder: Path, file: Path) -> None:
    read_arrays(file)


def _write_run(folder: Path) -> Iterator[Path]:
    for name in ("classes", "boxes"):
        shutil.copytree(RUNS / name, folder / name)
        (folder / name / "model.onnx").unlink(missing_ok=True)
        yield from (folder / name / file for file in ("plan.json", "recipe.toml", "results.json"))


def _read_run(folder: Path, file: Path) -> None:
    try:
        read_plan_without_images(file.parent)
    finally:
        try:
            open_trained(file.parent)
        finally:
            run = Run(file.parent)
            assert isinstance(run.task + run.split + "".join(run.metrics), str)


def _write_checkpoints(folder: Path) -> Iterator[Path]:
    shutil.copytree(RUNS / "classes", folder / "classes")
    yield from (folder / "classes" / name for name in ("best.ckpt", "last.ckpt"))


def _read_checkpoint(folder: Path, file: Path) -> None:
    try:
        read_checkpoint(file)
    finally:
        open_trained(file)


def _write_recipes(folder: Path) -> Iterator[Path]:
    for name in ("classes", "boxes"):
        yield Path(shutil.copy(RUNS / name / "recipe.toml", folder / f"{name}.toml"))


def _read_recipe(folder: Path, file: Path) -> None:
    tables = read_recipe(file)
    make_recipe(tables, task="detection" if file.stem == "boxes" else "classification")


TARGETS = (
    Target("safetensors", _write_safetensors, (mutate_bytes, of_safetensors_header), _load),
    Target("torch", _write_torch, (mutate_bytes, within_zip(mutate_bytes)), _load),
    Target(
        "archive", _write_archives, (mutate_bytes, within_zip(mutate_bytes), within_zip(mutate_json)), _load, count=20
    ),
    Target("hdf5", _write_hdf5, (mutate_bytes, within_zip(mutate_bytes)), _load, count=6),
    Target("tensorflow", _write_tensorflow, (mutate_bytes,), _load_variables, count=200),
    Target(
        "published",
        _write_published,
        (mutate_bytes, within_zip(mutate_bytes), of_safetensors_header),
        _read_published,
        count=60,
    ),
    Target("ncnn", _write_ncnn, (mutate_text, mutate_bytes), _load, count=8),
    Target("folded-onnx", _write_folded_onnx, (mutate_protobuf,), _load, count=8),
    Target("run", _write_run, (mutate_json, mutate_text), _read_run),
    Target("checkpoint", _write_checkpoints, (mutate_bytes, within_zip(mutate_bytes)), _read_checkpoint, count=30),
    Target("recipe", _write_recipes, (mutate_text, mutate_bytes), _read_recipe, count=100),
)
