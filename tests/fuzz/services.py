"""Fuzz targets: archives and tables of `batch`, requests of `serve`, and files that `adopt` takes."""

import base64
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from starlette.testclient import TestClient

from bundles import write_bundle
from detectors import write_detector
from foreign_files import SIDE, channel_logits, constant, foreign
from fuzz.mutations import mutate_bytes, mutate_json, mutate_protobuf, mutate_text
from fuzz.target import Target
from images import encoded, scene
from litevision.adopting.adopt import adopt
from litevision.errors import LitevisionError
from litevision.hub import load_classifier
from litevision.image.decode import DEFAULT_LIMITS
from litevision.jobs.job import Job, Shard
from litevision.jobs.listing import Listing
from litevision.jobs.manifest import EngineRecord, Manifest, ModelRecord, agree, read_manifest
from litevision.jobs.stored import StoredImage
from litevision.runtime.predictor import Predictor
from litevision.serving.app import application
from litevision.serving.batcher import Batcher
from litevision.serving.gate import State
from litevision.serving.metrics import Metrics
from litevision.serving.served import open_models
from litevision.serving.settings import Settings

_FORM = b"multipart/form-data; boundary=line"
_TENSOR = np.random.default_rng(3).integers(0, 256, (1, 8, 8, 3), np.uint8)
_BLOCK = 512  # of a tar archive


def _pngs() -> dict[str, bytes]:
    return {f"{name}.png": encoded(Image.fromarray(scene(24, 40)), "PNG") for name in "ab"}


@cache
def _colour_classifier(folder: Path) -> Predictor[Any]:
    return load_classifier(write_bundle(folder / "colour.onnx"), threads=1)


def _write_archives(folder: Path) -> Iterator[Path]:
    _colour_classifier(folder)
    for suffix, form in (("tar", tarfile.PAX_FORMAT), ("gnu.tar", tarfile.GNU_FORMAT), ("tar.gz", tarfile.PAX_FORMAT)):
        path = folder / f"images.{suffix}"
        with tarfile.open(path, "w:gz" if suffix.endswith("gz") else "w", format=form) as archive:
            for name, data in {**_pngs(), f"{'long' * 40}/ü.png": _pngs()["a.png"], "note.txt": b"no image"}.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        yield path


def _of_tar_headers(data: bytes, random: Random) -> bytes:
    """Fields of one to three headers changed, with checksums that fit; a compressed archive is changed blindly."""
    headers = [start for start in range(0, len(data), _BLOCK) if data[start + 257 : start + 262] == b"ustar"]
    if not headers:  # it is compressed, or damaged already
        return mutate_bytes(data, random)
    changed = bytearray(data)
    for start in random.choices(headers, k=random.choice((1, 1, 2, 3))):
        first, length = random.choice(((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155)))
        value = random.choice((b"\xff" * length, b"\x80" + b"\xff" * (length - 1), b"7" * length, b"\0" * length))
        if random.random() < 0.5:
            value = bytes(random.choice(b"01234567KLSVgx-./ \0\x80\xff") for _ in range(length))
        changed[start + first : start + first + length] = value
        changed[start + 148 : start + 156] = b" " * 8
        changed[start + 148 : start + 156] = b"%06o\0 " % sum(changed[start : start + _BLOCK])
    return bytes(changed)


def _write_tables(folder: Path) -> Iterator[Path]:
    _colour_classifier(folder)
    cells = [*_pngs().values(), None, b"no image"] * 2
    columns = {"plain": cells, "record": [None if it is None else {"bytes": it, "path": "a.png"} for it in cells]}
    for name, compression in (("plain", "none"), ("record", "zstd")):
        path = folder / f"{name}.parquet"
        pq.write_table(pa.table({"image": columns[name]}), path, compression=compression, row_group_size=3)
        yield path


def _read_images(column: str = "") -> Callable[[Path, Path], None]:
    """Computes all images of an archive or a table, as a job does, and raises the first error."""

    def read(folder: Path, file: Path) -> None:
        found = []
        for source in Listing([f"{file}{column}"]):
            if isinstance(source, StoredImage) and source.is_stream:
                source.hold(DEFAULT_LIMITS.max_bytes)
            found += _colour_classifier(folder).inference().run([source])
        errors = [it.error for it in found if it.error is not None]
        if errors and not any(it.error is None for it in found):
            raise errors[0]

    return read


def _write_jobs(folder: Path) -> Iterator[Path]:
    model, engine = ModelRecord("a.onnx", "0" * 64, "classification"), EngineRecord("onnxruntime", "fp32", "cpu", "1")
    for name, inputs in (("one", ("images",)), ("two", ("a.tar", "t.parquet::image", "@list.txt"))):
        record = Manifest(1, "0.1.0", inputs, False, 1000, "jsonl", False, model, ("top=5",), 4, engine)
        agree(folder / name, lambda found, made=record: made)
        yield folder / name / "_job.json"


def _read_job(folder: Path, file: Path) -> None:
    found = read_manifest(file.parent)
    assert found is not None
    agree(file.parent, lambda other: found)
    types = {"labels": "list<string>"}
    Job(file.parent, found.format, found.rows, Shard(), types, found.ms).count_missing([])


class _Requests:
    """A server in this process, and the headers with which the body in a file is sent to it."""

    def __init__(self, folder: Path) -> None:
        paths = [write_bundle(folder / "colour.onnx"), write_detector(folder / "boxes.onnx")]
        models = open_models(
            [str(path) for path in paths],
            limits=DEFAULT_LIMITS,
            engine="onnxruntime",
            precision=None,
            device="cpu",
            streams=1,
        )
        metrics = Metrics()
        batcher = Batcher(workers=1, max_batch=4, max_wait_s=0.0, max_queue=64, observer=metrics)
        self.client = TestClient(application(State(models, Settings(), batcher, metrics), io.StringIO()))
        self.files: dict[Path, tuple[str, dict[str, str]]] = {}

    def write(self, path: Path, address: str, body: bytes, **headers: str) -> Path:
        path.write_bytes(body)
        self.files[path] = address, {name.replace("_", "-"): value for name, value in headers.items()}
        return path


@cache
def _requests(folder: Path) -> _Requests:
    return _Requests(folder)


def _write_requests(folder: Path) -> Iterator[Path]:
    served, images = _requests(folder), _pngs()
    predict, infer = "/v1/models/colour:predict?top=2", "/v2/models/colour/infer"
    yield served.write(folder / "raw.png", predict, images["a.png"], content_type="image/png")
    yield served.write(folder / "boxes.png", "/v1/models/boxes:predict", images["a.png"], content_type="image/png")
    parts = (
        b'--line\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\nContent-Type: image/png\r\n\r\n%s\r\n'
        % (name.encode(), data)
        for name, data in images.items()
    )
    form = b"".join(parts) + b"--line--\r\n"
    yield served.write(folder / "form.multipart", predict, form, content_type=_FORM.decode())
    texts = {"images": [base64.b64encode(data).decode() for data in images.values()]}
    texts["images"].append(f"data:image/png;base64,{texts['images'][0]}")
    yield served.write(folder / "texts.json", predict, json.dumps(texts).encode(), content_type="application/json")
    tensor: dict[str, Any] = {"name": "images", "shape": [*_TENSOR.shape], "datatype": "UINT8"}
    plain = {
        "id": "a",
        "inputs": [{**tensor, "data": _TENSOR.ravel().tolist()}],
        "outputs": [{"name": "probabilities"}],
    }
    yield served.write(folder / "tensor.json", infer, json.dumps(plain).encode(), content_type="application/json")
    tensor["parameters"] = {"binary_data_size": _TENSOR.size}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    length = {"inference_header_content_length": str(len(head))}
    yield served.write(folder / "tensor.bin", infer, head + _TENSOR.tobytes(), **length)


def _of_request(data: bytes, random: Random) -> bytes:
    """JSON by its values, all else by its bytes or its text."""
    if data[:1] == b"{" and data[-1:] == b"}" and random.random() < 0.8:
        return mutate_json(data, random)
    return random.choice((mutate_bytes, mutate_text))(data, random)


class _RefusedError(LitevisionError):
    """What the server answered in place of a result."""


def _send(folder: Path, file: Path) -> None:
    served = _requests(folder)
    address, headers = served.files[file]
    answer = served.client.post(address, content=file.read_bytes(), headers=headers)  # what a handler raises, it raises
    assert answer.status_code < 500, f"status {answer.status_code}: {answer.text[:100]}"
    assert str(folder) not in answer.text
    if answer.status_code != 200:
        raise _RefusedError(answer.json()["error"])


def _write_foreign(folder: Path) -> Iterator[Path]:
    logits = foreign(lambda nodes, x: {"logits": channel_logits(nodes, x)})
    boxes = np.tile(np.array([20, 20, 10, 10], np.float32), (1, 84, 1)).transpose(0, 2, 1)
    scores = np.full((1, 80, 84), 0.01, np.float32)
    scores[0, 3, 5] = 0.9
    yolo = constant({"output0": np.concatenate([boxes, scores], 1)}, {"output0": (1, slice(4, 84))})
    for name, model in (("logits", logits), ("yolo", yolo)):
        path = folder / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        yield path


def _adopt(folder: Path, file: Path) -> None:
    own = folder / "own" / "own.onnx"
    own.unlink(missing_ok=True)
    labels = {"labels": ("red", "green", "blue")} if file.stem == "logits" else {}
    adopt(file, own, normalisation="unit", size=SIDE, **labels)


TARGETS = (
    Target("tar", _write_archives, (mutate_bytes, _of_tar_headers, _of_tar_headers), _read_images(), count=60),
    Target("parquet", _write_tables, (mutate_bytes,), _read_images("::image"), count=60),
    Target("job", _write_jobs, (mutate_json, mutate_text), _read_job, count=60),
    Target("request", _write_requests, (_of_request,), _send, count=100),
    Target("adopt", _write_foreign, (mutate_protobuf,), _adopt, count=10),
)
