"""timm's pretrained weights for our networks, as in its ``models/efficientnet.py``, ``mobilenetv3.py`` and ``dla.py``.

Rows that a test compares with the installed timm. Scores: timm's ``results/results-imagenet.csv`` at the commit in
``RESULTS``, at the size in the row, which is the one that the set was trained at wherever a score at it is published;
other sizes stand there too.

timm keeps each set as safetensors, which runs no code, at the Hugging Face hub, and the older ones also as ``.pth`` at
GitHub; the ``.pth`` is the mirror, checked by the digits in its own name.
"""

from typing import Literal, NamedTuple

from litevision.registry.architectures import resolve
from litevision.registry.digests import NUM_BYTES, SHA256
from litevision.registry.schema import InputSpec, WeightSet

HUB_URL = "https://huggingface.co/timm/{}/resolve/main/model.safetensors"
PTH_URL = "https://github.com/rwightman/pytorch-image-models/releases/download/"
HUB_PAGE = "https://huggingface.co/timm/{}"
RESULTS = (
    "https://github.com/huggingface/pytorch-image-models/blob/7479d451a6dfd8af27f941b8e82a7402461fae80"
    "/results/results-imagenet.csv"
)
SIZE_PX = 224

# Mean and standard deviation: timm's IMAGENET_DEFAULT, IMAGENET_INCEPTION, and pixels as they are.
NORMALISATION = {
    "default": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


class TimmSet(NamedTuple):
    """One ``pretrained_cfg`` of timm: its model and tag, its evaluation transform, and its score in ``RESULTS``."""

    model: str
    tag: str
    interpolation: Literal["bilinear", "bicubic"]
    crop_pct: float
    normalisation: str
    top1: float | None
    top5: float | None
    size_px: int = SIZE_PX


# fmt: off
ROWS = (
    #    model                               tag                    resize     crop_pct  mean, std   top1    top5    size
    TimmSet("mobilenetv1_100",                  "ra4_e3600_r224_in1k", "bicubic",  0.875, "inception", 75.384, 92.312),
    TimmSet("mobilenetv1_100h",                 "ra4_e3600_r224_in1k", "bicubic",  0.875, "inception", 75.658, 92.504),
    TimmSet("mobilenetv1_125",                  "ra4_e3600_r224_in1k", "bicubic",  0.9,   "inception", 76.928, 93.216),
    TimmSet("mobilenetv2_050",                  "lamb_in1k",           "bicubic",  0.875, "default",   65.930, 86.102),
    TimmSet("mobilenetv2_100",                  "ra_in1k",             "bicubic",  0.875, "default",   72.936, 91.002),
    TimmSet("mobilenetv2_110d",                 "ra_in1k",             "bicubic",  0.875, "default",   75.054, 92.186),
    TimmSet("mobilenetv2_120d",                 "ra_in1k",             "bicubic",  0.875, "default",   77.298, 93.516),
    TimmSet("mobilenetv2_140",                  "ra_in1k",             "bicubic",  0.875, "default",   76.528, 93.008),
    TimmSet("mobilenetv3_large_100",            "ra_in1k",             "bicubic",  0.875, "default",   75.786, 92.528),
    TimmSet("mobilenetv3_large_100",            "ra4_e3600_r224_in1k", "bicubic",  0.95,  "inception", 76.310, 92.846),
    TimmSet("mobilenetv3_large_100",            "miil_in21k_ft_in1k",  "bilinear", 0.875, "none",      77.910, 92.884),
    TimmSet("mobilenetv3_large_100",            "miil_in21k",          "bilinear", 0.875, "none",      None,   None),
    TimmSet("mobilenetv3_large_150d",           "ra4_e3600_r256_in1k", "bilinear", 0.95,  "inception", 80.94,  None,   256),
    TimmSet("mobilenetv3_rw",                   "rmsp_in1k",           "bicubic",  0.875, "default",   75.614, 92.698),
    TimmSet("mobilenetv3_small_050",            "lamb_in1k",           "bicubic",  0.875, "default",   57.924, 80.142),
    TimmSet("mobilenetv3_small_075",            "lamb_in1k",           "bicubic",  0.875, "default",   65.266, 85.466),
    TimmSet("mobilenetv3_small_100",            "lamb_in1k",           "bicubic",  0.875, "default",   67.638, 87.650),
    TimmSet("tf_mobilenetv3_large_075",         "in1k",                "bilinear", 0.875, "inception", 73.448, 91.344),
    TimmSet("tf_mobilenetv3_large_100",         "in1k",                "bilinear", 0.875, "inception", 75.514, 92.602),
    TimmSet("tf_mobilenetv3_large_minimal_100", "in1k",                "bilinear", 0.875, "inception", 72.270, 90.662),
    TimmSet("tf_mobilenetv3_small_075",         "in1k",                "bilinear", 0.875, "inception", 65.732, 86.142),
    TimmSet("tf_mobilenetv3_small_100",         "in1k",                "bilinear", 0.875, "inception", 67.932, 87.684),
    TimmSet("tf_mobilenetv3_small_minimal_100", "in1k",                "bilinear", 0.875, "inception", 62.894, 84.284),
    TimmSet("mobilenetv4_conv_small",           "e2400_r224_in1k",     "bicubic",  0.875, "default",   73.730, 91.426),
    TimmSet("mobilenetv4_conv_small",           "e1200_r224_in1k",     "bicubic",  0.875, "default",   73.436, 91.342),
    TimmSet("mobilenetv4_conv_small",           "e3600_r256_in1k",     "bicubic",  1.0,   "inception", 75.616, None,   320),
    TimmSet("mobilenetv4_conv_small_050",       "e3000_r224_in1k",     "bicubic",  0.875, "inception", 64.778, None),
    TimmSet("mobilenetv4_conv_medium",          "e500_r224_in1k",      "bicubic",  0.95,  "default",   79.092, None),
    TimmSet("mobilenetv4_conv_medium",          "e500_r256_in1k",      "bicubic",  0.95,  "default",   79.922, 95.186, 256),
    TimmSet("mobilenetv4_conv_medium",          "e250_r384_in12k_ft_in1k", "bicubic", 0.95, "default", 82.776, None,   384),
    TimmSet("mobilenetv4_conv_large",           "e500_r256_in1k",      "bicubic",  0.95,  "default",   81.862, 95.690, 256),
    TimmSet("mobilenetv4_conv_large",           "e600_r384_in1k",      "bicubic",  0.95,  "default",   82.974, 96.244, 384),
    TimmSet("dla34",                            "in1k",                "bilinear", 0.875, "default",   74.632, 92.052),
)

# The releases of timm's repository that hold a set as .pth.
PTH = {
    "mobilenetv2_050.lamb_in1k":                "v0.1-weights/mobilenetv2_050-3d30d450.pth",
    "mobilenetv2_100.ra_in1k":                  "v0.1-weights/mobilenetv2_100_ra-b33bc2c4.pth",
    "mobilenetv2_110d.ra_in1k":                 "v0.1-weights/mobilenetv2_110d_ra-77090ade.pth",
    "mobilenetv2_120d.ra_in1k":                 "v0.1-weights/mobilenetv2_120d_ra-5987e2ed.pth",
    "mobilenetv2_140.ra_in1k":                  "v0.1-weights/mobilenetv2_140_ra-21a4e913.pth",
    "mobilenetv3_large_100.ra_in1k":            "v0.1-weights/mobilenetv3_large_100_ra-f55367f5.pth",
    "mobilenetv3_large_100.miil_in21k_ft_in1k": "v0.1-tresnet/mobilenetv3_large_100_1k_miil_78_0-66471c13.pth",
    "mobilenetv3_large_100.miil_in21k":         "v0.1-tresnet/mobilenetv3_large_100_in21k_miil-d71cc17b.pth",
    "mobilenetv3_rw.rmsp_in1k":                 "v0.1-weights/mobilenetv3_100-35495452.pth",
    "mobilenetv3_small_050.lamb_in1k":          "v0.1-weights/mobilenetv3_small_050_lambc-4b7bbe87.pth",
    "mobilenetv3_small_075.lamb_in1k":          "v0.1-weights/mobilenetv3_small_075_lambc-384766db.pth",
    "mobilenetv3_small_100.lamb_in1k":          "v0.1-weights/mobilenetv3_small_100_lamb-266a294c.pth",
    "tf_mobilenetv3_large_075.in1k":            "v0.1-weights/tf_mobilenetv3_large_075-150ee8b0.pth",
    "tf_mobilenetv3_large_100.in1k":            "v0.1-weights/tf_mobilenetv3_large_100-427764d5.pth",
    "tf_mobilenetv3_large_minimal_100.in1k":    "v0.1-weights/tf_mobilenetv3_large_minimal_100-8596ae28.pth",
    "tf_mobilenetv3_small_075.in1k":            "v0.1-weights/tf_mobilenetv3_small_075-da427f52.pth",
    "tf_mobilenetv3_small_100.in1k":            "v0.1-weights/tf_mobilenetv3_small_100-37f49e2b.pth",
    "tf_mobilenetv3_small_minimal_100.in1k":    "v0.1-weights/tf_mobilenetv3_small_minimal_100-922a7843.pth",
}
# fmt: on

# Where a set differs from the rest. The csv has no row for these: they are newer, or have other classes.
SOURCES = {
    "mobilenetv4_conv_small.e3600_r256_in1k": HUB_PAGE,
    "mobilenetv4_conv_small_050.e3000_r224_in1k": HUB_PAGE,
    "mobilenetv4_conv_medium.e250_r384_in12k_ft_in1k": HUB_PAGE,
    "mobilenetv4_conv_large.e500_r256_in1k": HUB_PAGE,
    "mobilenetv3_large_100.ra4_e3600_r224_in1k": HUB_PAGE,
    "mobilenetv3_large_100.miil_in21k": HUB_PAGE,
    "mobilenetv3_large_150d.ra4_e3600_r256_in1k": HUB_PAGE,
}
NUM_CLASSES = {"mobilenetv3_large_100.miil_in21k": 11221}
TRAINING_DATA = {
    "mobilenetv3_large_100.miil_in21k": "ImageNet-21k-P",
    "mobilenetv3_large_100.miil_in21k_ft_in1k": "ImageNet-21k-P, then ImageNet-1k",
    "mobilenetv4_conv_medium.e250_r384_in12k_ft_in1k": "ImageNet-12k, then ImageNet-1k",
}
LICENCES = {"dla34.in1k": "BSD-3-Clause"}


def timm_sets() -> tuple[WeightSet, ...]:
    """Every pretrained set of timm that our networks can hold."""
    return tuple(_weight_set(row) for row in ROWS)


def _weight_set(row: TimmSet) -> WeightSet:
    timm_name = f"{row.model}.{row.tag}"
    variant = resolve(row.model)
    name = f"{variant.architecture}.{variant.dialect}_{row.tag}"
    if variant.width_mult != 1.0:
        name += f"_w{round(variant.width_mult * 100):03d}{'d' if variant.options else ''}"
    elif variant.options:
        name += "_h"  # timm's mobilenetv1_100h
    mean, std = NORMALISATION[row.normalisation]
    return WeightSet(
        name=name,
        architecture=variant.architecture,
        dialect=variant.dialect,
        width_mult=variant.width_mult,
        url=HUB_URL.format(timm_name),
        mirrors=(PTH_URL + PTH[timm_name],) if timm_name in PTH else (),
        num_bytes=NUM_BYTES.get(name),
        sha256=SHA256.get(name),
        hash_prefix=None,
        md5=None,
        num_classes=NUM_CLASSES.get(timm_name, 1000),
        background_class=False,
        # timm rounds the resize down: 224 / 0.95 is 235.
        input=InputSpec((row.size_px, row.size_px), int(row.size_px / row.crop_pct), row.interpolation, mean, std),
        licence=LICENCES.get(timm_name, "Apache-2.0"),
        source=SOURCES.get(timm_name, RESULTS).format(timm_name),
        top1=row.top1,
        top5=row.top5,
        training_data=TRAINING_DATA.get(timm_name, "ImageNet-1k"),
        options=dict(variant.options),
        aliases=(timm_name, f"timm/{timm_name}"),
    )
