"""torchvision's ImageNet weights, as in its ``models/mobilenetv2.py``, ``mobilenetv3.py`` and ``shufflenetv2.py``.

Rows that a test compares with the installed torchvision. Within an architecture the best set stands first and is the
default. Scores are those of ``weights.meta["_metrics"]``, sizes its ``_file_size``.
"""

from typing import NamedTuple

from litevision.registry.digests import NUM_BYTES, SHA256
from litevision.registry.schema import InputSpec, WeightSet, published_prefix

BASE_URL = "https://download.pytorch.org/models/"
SOURCE = "https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.{}.html"
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MIB = 2**20
# torchvision rounds a file's size to 0.001 MiB; one byte more for the rounding of a half.
ROUNDING_BYTES = MIB // 2000 + 1


class TorchvisionSet(NamedTuple):
    """One member of a torchvision weights enum: version, file, size as torchvision rounds it, and claims."""

    architecture: str
    version: int
    file_name: str
    size_mib: float
    resize_px: int
    top1: float
    top5: float


# fmt: off
ROWS = (
    #    architecture          V  file                               size_mib resize top1    top5
    TorchvisionSet("mobilenet_v2",       2, "mobilenet_v2-7ebf99e0.pth",        13.598, 232, 72.154, 90.822),
    TorchvisionSet("mobilenet_v2",       1, "mobilenet_v2-b0353104.pth",        13.555, 256, 71.878, 90.286),
    TorchvisionSet("mobilenet_v3_large", 2, "mobilenet_v3_large-5c1a4163.pth",  21.107, 232, 75.274, 92.566),
    TorchvisionSet("mobilenet_v3_large", 1, "mobilenet_v3_large-8738ca79.pth",  21.114, 256, 74.042, 91.340),
    TorchvisionSet("mobilenet_v3_small", 1, "mobilenet_v3_small-047dcff4.pth",   9.829, 256, 67.668, 87.402),
    TorchvisionSet("shufflenet_v2_x0_5", 1, "shufflenetv2_x0.5-f707e7126e.pth",  5.282, 256, 60.552, 81.746),
    TorchvisionSet("shufflenet_v2_x1_0", 1, "shufflenetv2_x1-5666bf0f80.pth",    8.791, 256, 69.362, 88.316),
    TorchvisionSet("shufflenet_v2_x1_5", 1, "shufflenetv2_x1_5-3c479a10.pth",   13.557, 232, 72.996, 91.086),
    TorchvisionSet("shufflenet_v2_x2_0", 1, "shufflenetv2_x2_0-8be3c8ee.pth",   28.433, 232, 76.230, 93.006),
)
# fmt: on


def torchvision_sets() -> tuple[WeightSet, ...]:
    """Every ImageNet set of torchvision for our architectures, an architecture's default first."""
    return tuple(_weight_set(row) for row in ROWS)


def _weight_set(row: TorchvisionSet) -> WeightSet:
    name = f"{row.architecture}.tv_in1k_v{row.version}"
    url = BASE_URL + row.file_name
    enum = _enum_name(row.architecture)
    is_default = next(other for other in ROWS if other.architecture == row.architecture) is row
    return WeightSet(
        name=name,
        architecture=row.architecture,
        dialect="torchvision",
        width_mult=1.0,
        url=url,
        mirrors=(),
        num_bytes=NUM_BYTES.get(name, round(row.size_mib * MIB)),
        num_bytes_tolerance=0 if name in NUM_BYTES else ROUNDING_BYTES,
        sha256=SHA256.get(name),
        hash_prefix=published_prefix(url),
        md5=None,
        num_classes=1000,
        background_class=False,
        input=InputSpec((224, 224), row.resize_px, "bilinear", MEAN, STD),
        licence="BSD-3-Clause",
        source=SOURCE.format(row.architecture),
        top1=row.top1,
        top5=row.top5,
        aliases=(f"{enum}.IMAGENET1K_V{row.version}", *([f"{enum}.DEFAULT"] if is_default else [])),
    )


def _enum_name(architecture: str) -> str:
    """The name that torchvision gives an architecture's weights: ``MobileNet_V3_Large_Weights``."""
    title = "_".join(part.capitalize() for part in architecture.split("_"))
    return title.replace("Mobilenet", "MobileNet").replace("Shufflenet", "ShuffleNet") + "_Weights"
