"""NanoDet's COCO weights, as its README lists them: the ONNX files among the assets of its releases.

Within an architecture the default stands first. Scores are the README's, COCO's average precision on val2017 in
percent. The weight file of NanoDet-m itself lies in a drive that cannot be fetched from.
"""

from typing import NamedTuple

from litevision.registry.digests import NUM_BYTES, SHA256
from litevision.registry.schema import InputSpec, WeightSet
from litevision.registry.torchvision_sets import MEAN, STD

BASE_URL = "https://github.com/RangiLyu/nanodet/releases/download/v1.0.0-alpha-1/"
SOURCE = "https://github.com/RangiLyu/nanodet#model-zoo"


class NanoDetSet(NamedTuple):
    """One file of the release: input, size in px and claim."""

    architecture: str
    file_name: str
    size_px: int
    ap: float


# fmt: off
ROWS = (
    #          architecture           file                            size  AP
    NanoDetSet("nanodet_plus_m",      "nanodet-plus-m_416.onnx",      416, 30.4),
    NanoDetSet("nanodet_plus_m",      "nanodet-plus-m_320.onnx",      320, 27.0),
    NanoDetSet("nanodet_plus_m_x1_5", "nanodet-plus-m-1.5x_416.onnx", 416, 34.1),
    NanoDetSet("nanodet_plus_m_x1_5", "nanodet-plus-m-1.5x_320.onnx", 320, 29.9),
)
# fmt: on


def nanodet_sets() -> tuple[WeightSet, ...]:
    """Every COCO set of NanoDet's authors, an architecture's default first."""
    return tuple(_weight_set(row) for row in ROWS)


def _weight_set(row: NanoDetSet) -> WeightSet:
    name = f"{row.architecture}.rangilyu_coco_r{row.size_px}"
    return WeightSet(
        name=name,
        architecture=row.architecture,
        dialect="nanodet",
        width_mult=1.0,
        url=BASE_URL + row.file_name,
        mirrors=(),
        num_bytes=NUM_BYTES.get(name),
        sha256=SHA256.get(name),
        hash_prefix=None,
        md5=None,
        num_classes=80,
        background_class=False,
        input=InputSpec((row.size_px,) * 2, row.size_px, "bilinear", MEAN, STD, crop="letterbox", pad_value=0),
        licence="Apache-2.0",
        source=SOURCE,
        top1=None,
        top5=None,
        ap=row.ap,
        claim_dataset="COCO val2017",
        training_data="COCO train2017",
        aliases=(row.file_name.removesuffix(".onnx"),),
    )
