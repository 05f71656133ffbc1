"""Fuzz targets: images, videos, bundles and other ONNX files."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
from fontTools import subset
from PIL import Image, ImageCms

import exports
import graphs
import litevision
from bundles import plain_metadata, write_bundle
from clips import RED_AND_BLUE
from detectors import write_detector
from fuzz.mutations import mutate_bytes, mutate_numbers, mutate_protobuf, mutate_text, of_font_table, of_png_chunks
from fuzz.target import Target
from images import encoded, exif, scene
from litevision.cost.info import info
from litevision.files import sha256_of
from litevision.hub import load
from litevision.image import Preprocess, font_files
from litevision.image.decode import open_image
from litevision.image.font_files import FOLDER, SHIPPED, user_font
from litevision.lab.lint import lint
from litevision.lab.profile import Peaks, profile_file
from litevision.lab.profile.report import sections
from litevision.runtime.benchmark import benchmark
from litevision.runtime.bundle import RECORD
from litevision.runtime.engines import engine_choice
from litevision.runtime.engines.ncnn_engine import BIN, PARAM
from litevision.runtime.video import animation_frames, video_frames
from litevision.weights.load import load_network
from networks import short

PREPROCESS = Preprocess((32, 32), 32)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PEAKS = Peaks(100.0, ((1_000, 50.0), (1_000_000, 10.0)))

# Suffixes with Pillow's options; those that are not read are refused by their content.
_IMAGES: dict[str, dict[str, Any]] = {
    "jpg": {"kind": "JPEG", "exif": exif(6), "quality": 60},
    "cmyk.jpg": {"kind": "JPEG", "mode": "CMYK"},
    "progressive.jpg": {"kind": "JPEG", "progressive": True, "mode": "L"},
    "png": {"kind": "PNG"},
    "palette.png": {"kind": "PNG", "mode": "P", "transparency": 3},
    "deep.png": {"kind": "PNG", "mode": "I;16"},
    "webp": {"kind": "WEBP", "exif": exif(3)},
    "lossless.webp": {"kind": "WEBP", "lossless": True, "mode": "RGBA"},
    "bmp": {"kind": "BMP"},
    "palette.bmp": {"kind": "BMP", "mode": "P"},
    "gif": {"kind": "GIF", "mode": "P"},
    "tif": {"kind": "TIFF", "compression": "tiff_lzw"},
    "jpeg.tif": {"kind": "TIFF", "compression": "jpeg"},
    "avif": {"kind": "AVIF"},
    "jp2": {"kind": "JPEG2000"},
}
# Those that are seldom met, and what the common ones seldom hold.
_RARE_IMAGES: dict[str, dict[str, Any]] = {
    "icc.jpg": {"kind": "JPEG", "icc_profile": SRGB},
    "icc.png": {"kind": "PNG", "icc_profile": SRGB},
    "restarts.jpg": {"kind": "JPEG", "restart_marker_rows": 1},
    "deep.tif": {"kind": "TIFF", "mode": "I;16"},
    "float.tif": {"kind": "TIFF", "mode": "F"},
    "bits.tif": {"kind": "TIFF", "mode": "1", "compression": "group4"},
    "pages.tif": {"kind": "TIFF", "save_all": True, "append_images": [Image.new("RGB", (30, 20))]},
    "cmyk.tif": {"kind": "TIFF", "mode": "CMYK"},
    "mpo": {"kind": "MPO", "save_all": True, "append_images": [Image.new("RGB", (30, 20))]},
    "j2k": {"kind": "JPEG2000", "no_jp2": True},
    "ico": {"kind": "ICO", "mode": "RGBA", "sizes": [(16, 16)], "bitmap_format": "bmp"},
    "icns": {"kind": "ICNS"},
    "dds": {"kind": "DDS", "mode": "RGBA", "pixel_format": "DXT5"},
    "tga": {"kind": "TGA", "compression": "tga_rle"},
    "pcx": {"kind": "PCX"},
    "sgi": {"kind": "SGI"},
    "ppm": {"kind": "PPM"},
    "pfm": {"kind": "PPM", "mode": "F"},
    "qoi": {"kind": "QOI"},
    "blp": {"kind": "BLP", "mode": "P"},
    "msp": {"kind": "MSP", "mode": "1"},
    "dib": {"kind": "DIB"},
}
_ANIMATIONS = {"gif": "GIF", "apng": "PNG", "webp": "WEBP"}
RUNS = Path(__file__).parents[1] / "fixtures/v0_1_0"
_CODECS = {"mp4": "libx264", "webm": "libvpx", "avi": "mpeg4", "mkv": "mpeg4", "flv": "flv", "mov": "mjpeg"}


def _write_each(folder: Path, formats: Mapping[str, Mapping[str, Any]]) -> Iterator[Path]:
    image = Image.fromarray(scene(24, 40))
    deep = Image.fromarray(np.arange(960, dtype=np.uint16).reshape(24, 40))
    for suffix, given in formats.items():
        options = dict(given)
        mode = options.pop("mode", "RGB")
        made = deep if mode == "I;16" else image.convert(mode)
        yield _write(folder / f"a.{suffix}", encoded(made, options.pop("kind"), **options))


def _write_rare_images(folder: Path) -> list[Path]:
    return list(_write_each(folder, _RARE_IMAGES))


def _write_images(folder: Path) -> Iterator[Path]:
    yield from _write_each(folder, _IMAGES)
    image = Image.fromarray(scene(24, 40))
    turned = [image.rotate(angle) for angle in (0, 40, 80)]
    for suffix, kind in _ANIMATIONS.items():
        yield _write(folder / f"moving.{suffix}", encoded(turned[0], kind, save_all=True, append_images=turned[1:]))


def _read_image(folder: Path, file: Path) -> None:
    opened = open_image(file)
    Preprocess((32, 32), 32)(opened)
    for frame in animation_frames(str(file), PREPROCESS):
        _raise(frame.error)


def _write_clips(folder: Path) -> Iterator[Path]:
    for suffix, codec in _CODECS.items():
        path = folder / f"clip.{suffix}"
        with av.open(str(path), "w") as out:
            stream = out.add_stream(codec, rate=10)
            stream.height, stream.width = RED_AND_BLUE.shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for image in [RED_AND_BLUE, RED_AND_BLUE[:, ::-1]] * 2:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            out.mux(stream.encode())
        yield path


def _read_clip(folder: Path, file: Path) -> None:
    for frame in video_frames(str(file), PREPROCESS, 0.1):
        if frame is not None:
            _raise(frame.error)


def _write_bundles(folder: Path) -> Iterator[Path]:
    yield write_bundle(folder / "classes.onnx")
    yield write_detector(folder / "boxes.onnx")
    constant = ([(1, 2, 30, 40), (5, 5, 9, 9)], (0.9, 0.4), (0, 1))
    yield write_detector(folder / "constant.onnx", constant=constant)
    yield write_graph(folder / "layers.onnx", metadata=json.dumps(plain_metadata()))


def write_graph(path: Path, metadata: str | None = None) -> Path:
    """A graph with convolutions, constants, a branch and a function; without the two as a bundle."""
    inner = "" if metadata else _INNER
    made = graphs.model(_LAYERS.replace("INNER", inner) + (_FUNCTION if inner else ""), **_WEIGHTS)
    if metadata:
        onnx.helper.set_model_props(made, {"litevision": metadata})
        del made.opset_import[1:]
    onnx.save(made, path)
    return path


_LAYERS = """
    network (uint8[N, 8, 8, 3] images) => (float[N, 3] probabilities)
        <int64[2] flat = {0, -1}, int64[1] zero = {0}, int64[1] one = {1}, float scale = {0.0039}>
    {
        raw = Cast <to = 1> (images)
        pixels = Mul (raw, scale)
        x = Transpose <perm = [0, 3, 1, 2]> (pixels)
        a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x, stem)
        b = Relu (a)
        c = Conv <group = 4, kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (b, depthwise)
        d = Clip (c)
        e = Conv <group = 2> (d, grouped)
        f = Add (e, b)
        g = Conv (f, wide)
        h = Concat <axis = 1> (g, f)
        pooled = GlobalAveragePool (h)
        INNER
        vector = Reshape (pooled, flat)
        logits = Gemm <transB = 1> (vector, dense)
        probabilities = Softmax <axis = -1> (logits)
    }
"""
_INNER = """
        dims = Shape (pooled)
        full = Expand (scale, dims)
        twice = com.example.Twice (full)
        raised = Pow (twice, scale)
        ends = Slice (dims, zero, one)
        tiled = Tile (raised, dims)
"""
_FUNCTION = """
    <domain: "com.example", opset_import: ["" : 21]>
    Twice (x) => (y) { y = Add (x, x) }
"""
_WEIGHTS = {
    "stem": (4, 3, 3, 3),
    "depthwise": (4, 1, 3, 3),
    "grouped": (4, 2, 1, 1),
    "wide": (16, 4, 1, 1),
    "dense": (3, 20),
}


def _run(engine: str) -> Callable[[Path, Path], None]:
    def run(folder: Path, file: Path) -> None:
        load(file, engine=engine).predict(scene(20, 30))

    return run


def _write_exports(*names: str) -> Callable[[Path], Iterator[Path]]:
    """Files that `export` makes of a small classifier; the first of them says of which format."""

    def write(folder: Path) -> Iterator[Path]:
        images = [encoded(Image.fromarray(scene(24, 40)), "PNG")]
        exports.export(short("shufflenet_v2_x0_5", "torchvision"), folder / "it.onnx", check_images=images)
        out = folder / Path(names[0]).parts[0]
        litevision.export(folder / "it.onnx", out, check_images=images)
        yield from (folder / name for name in names)

    return write


def _answer(folder: Path, file: Path) -> None:
    if file.parent == folder:
        load(file).predict(scene(20, 30))
        return
    record = file.with_name(RECORD)
    kept = record.read_bytes()
    if file != record:  # as who changes a file would
        said = json.loads(kept)
        said["file"]["sha256"][file.name] = sha256_of(file)
        record.write_text(json.dumps(said))
    try:
        load(file.parent).predict(scene(20, 30))
    finally:
        record.write_bytes(kept)


def _write_graphs(folder: Path) -> Iterator[Path]:
    yield write_graph(folder / "layers.onnx")
    yield write_bundle(folder / "classes.onnx")
    yield write_detector(folder / "boxes.onnx")


def _count(folder: Path, file: Path) -> None:
    costs = info(file)
    json.dumps(costs.to_dict())
    list(costs.sections(every=True))


def _lint(folder: Path, file: Path) -> None:
    json.dumps(lint(file, seconds=1e-4, threads=1).to_dict())


def _bench(folder: Path, file: Path) -> None:
    list(benchmark(file, batch_sizes=(1,), threads=(1,), precisions=("fp32",), seconds=1e-4).notes)


def _profile(folder: Path, file: Path) -> None:
    found = profile_file(file, engine_choice("openvino", threads=1), repeats=1, peaks=PEAKS)
    list(sections(found, every=True))


def _load_weights(folder: Path, file: Path) -> None:
    load_network(file)


def _write_networks(folder: Path) -> Iterator[Path]:
    yield Path(shutil.copy(RUNS / "classes/model.onnx", folder))


def _write_fonts(folder: Path) -> Iterator[Path]:
    options = subset.Options(notdef_outline=True, glyph_names=False, layout_features=[])
    for name, letters in {"plane.ttf": "ab", "all.ttf": "a\U0001d538"}.items():
        font = subset.load_font(FOLDER / SHIPPED[0], options)
        shrunk = subset.Subsetter(options)
        shrunk.populate(text=letters)
        shrunk.subset(font)
        font.save(folder / name)
        font.close()
        yield folder / name


def _read_font(folder: Path, file: Path) -> None:
    font_files._opened.cache_clear()  # each input lies at the same path
    font = user_font(file)
    font.marks([it for it in "ab日\U0001d538" if font.has(it)])


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


TARGETS = (
    Target("image", _write_images, (mutate_bytes, of_png_chunks), _read_image, 200),
    Target("video", _write_clips, (mutate_bytes,), _read_clip, 60),
    Target("bundle-onnxruntime", _write_bundles, (mutate_protobuf,), _run("onnxruntime"), 100),
    Target("bundle-openvino", _write_bundles, (mutate_protobuf,), _run("openvino"), 30),
    Target("litert", _write_exports("it.tflite"), (mutate_bytes,), _answer, 30, needs="ai_edge_litert"),
    *(
        Target(
            f"folder-{kind}",
            _write_exports(*(f"it.{kind}/{name}" for name in (RECORD, *names))),
            (mutate_bytes, mutate_text, mutate_numbers),
            _answer,
            30,
            needs=kind,
        )
        for kind, names in {"ncnn": (PARAM, BIN), "openvino": ("model.xml", "model.bin")}.items()
    ),
    Target("info", _write_graphs, (mutate_protobuf,), _count, 100),
    Target("image-rare", _write_rare_images, (mutate_bytes,), _read_image, 100),
    Target("font", _write_fonts, (mutate_bytes, of_font_table), _read_font, 100),
    Target("bundle-weights", _write_networks, (mutate_protobuf,), _load_weights, 30),
    Target("bench", _write_graphs, (mutate_protobuf,), _bench, 20),
    Target("profile", _write_graphs, (mutate_protobuf,), _profile, 10, needs="openvino"),
    Target("lint", _write_graphs, (mutate_protobuf,), _lint, 40),
)
