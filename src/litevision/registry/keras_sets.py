"""The ImageNet weights of Keras' applications: MobileNet (V1), MobileNetV2 and MobileNetV3, with and without top.

File names and addresses are Keras' own rules (``keras/src/applications``), coded once; a test runs Keras' code and
compares every address and md5. Keras gives an md5 for V3's files alone.

Keras converted V1 from slim's checkpoints of 2017-06-14 and V2 from slim's of 2018, and states scores of its own at 224
for a centre crop. At other sizes the claim is slim's for the same checkpoint. Neither page states the resize;
slim's evaluation takes the central 87.5 %, which is what ``resize_px`` says.
"""

from collections.abc import Iterator
from typing import NamedTuple

from litevision.registry.digests import NUM_BYTES, SHA256
from litevision.registry.schema import InputSpec, WeightSet

BASE_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
# Where the same files lay before Keras moved them to its own storage.
V1_MIRROR = "https://github.com/fchollet/deep-learning-models/releases/download/v0.6/"
V2_MIRROR = "https://github.com/JonathanCMitchell/mobilenet_v2_keras/releases/download/v1.1/"

KERAS = "https://github.com/keras-team/keras-applications/blob/master/README.md"
KERAS_V3 = "https://github.com/keras-team/keras/blob/master/keras/src/applications/mobilenet_v3.py"
SLIM_V1 = "https://github.com/tensorflow/models/blob/a4e31b34db506e1ca0dcc5df00b71a56048f6f89/slim/nets/mobilenet_v1.md"
SLIM_V2 = "https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet/README.md"

CENTRAL_FRACTION = 0.875
HALF = (0.5, 0.5, 0.5)  # pixel / 127.5 - 1


class Claim(NamedTuple):
    """A published score of one width at one size."""

    width_mult: float
    size_px: int
    top1: float
    top5: float | None
    source: str


class V3Row(NamedTuple):
    """One network of V3, its published top-1 and the md5 of its two files. Keras has them at 224 alone."""

    network: str
    width_mult: float
    top1: float
    md5: str
    notop_md5: str


# fmt: off
V1_CLAIMS = (
    #     alpha  px   top1    top5
    Claim(1.0,  224, 70.424, 89.504, KERAS),
    Claim(1.0,  192, 69.3,   88.9,   SLIM_V1),
    Claim(1.0,  160, 67.2,   87.5,   SLIM_V1),
    Claim(1.0,  128, 64.1,   85.3,   SLIM_V1),
    Claim(0.75, 224, 68.412, 88.242, KERAS),
    Claim(0.75, 192, 67.4,   87.3,   SLIM_V1),
    Claim(0.75, 160, 65.2,   86.1,   SLIM_V1),
    Claim(0.75, 128, 61.8,   83.6,   SLIM_V1),
    Claim(0.5,  224, 64.292, 85.624, KERAS),
    Claim(0.5,  192, 62.1,   84.0,   SLIM_V1),
    Claim(0.5,  160, 59.9,   82.5,   SLIM_V1),
    Claim(0.5,  128, 56.2,   79.6,   SLIM_V1),
    Claim(0.25, 224, 51.582, 75.792, KERAS),
    Claim(0.25, 192, 49.0,   73.6,   SLIM_V1),
    Claim(0.25, 160, 46.0,   70.7,   SLIM_V1),
    Claim(0.25, 128, 41.3,   66.2,   SLIM_V1),
)

V2_CLAIMS = (
    #     alpha  px   top1    top5
    Claim(1.0,  224, 71.336, 90.142, KERAS),
    Claim(1.0,  192, 70.7,   90.1,   SLIM_V2),
    Claim(1.0,  160, 68.8,   89.0,   SLIM_V2),
    Claim(1.0,  128, 65.3,   86.9,   SLIM_V2),
    Claim(1.0,   96, 60.3,   83.2,   SLIM_V2),
    Claim(1.4,  224, 75.230, 92.422, KERAS),
    Claim(1.3,  224, 74.680, 92.122, KERAS),
    Claim(0.75, 224, 69.532, 89.176, KERAS),
    Claim(0.75, 192, 68.7,   88.9,   SLIM_V2),
    Claim(0.75, 160, 66.4,   87.3,   SLIM_V2),
    Claim(0.75, 128, 63.2,   85.3,   SLIM_V2),
    Claim(0.75,  96, 58.8,   81.6,   SLIM_V2),
    Claim(0.5,  224, 65.194, 86.062, KERAS),
    Claim(0.5,  192, 63.9,   85.4,   SLIM_V2),
    Claim(0.5,  160, 61.0,   83.2,   SLIM_V2),
    Claim(0.5,  128, 57.7,   80.8,   SLIM_V2),
    Claim(0.5,   96, 51.2,   75.8,   SLIM_V2),
    Claim(0.35, 224, 60.086, 82.432, KERAS),
    Claim(0.35, 192, 58.2,   81.2,   SLIM_V2),
    Claim(0.35, 160, 55.7,   79.1,   SLIM_V2),
    Claim(0.35, 128, 50.8,   75.0,   SLIM_V2),
    Claim(0.35,  96, 45.5,   70.4,   SLIM_V2),
)

V3_ROWS = (
    #     network             alpha top1   md5                                md5 without top
    V3Row("large",              1.0,  75.6, "59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    V3Row("large",              0.75, 73.3, "765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
    V3Row("large_minimalistic", 1.0,  72.3, "675e7b876c45c57e9e63e6d90a36599c", "ec5221f64a2f6d1ef965a614bdae7973"),
    V3Row("small",              1.0,  68.1, "8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    V3Row("small",              0.75, 65.4, "cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
    V3Row("small_minimalistic", 1.0,  61.9, "99cd97fb2fcdad2bf028eb838de69e37", "cde8136e733e811080d9fcd8a252f7e4"),
)
# fmt: on


def v1_file_name(width_mult: float, size_px: int, *, top: bool) -> str:
    """Keras' name of a MobileNet file: ``mobilenet_7_5_192_tf.h5``."""
    alpha = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}[width_mult]
    return f"mobilenet_{alpha}_{size_px}_tf{'' if top else '_no_top'}.h5"


def v2_file_name(width_mult: float, size_px: int, *, top: bool) -> str:
    """Keras' name of a MobileNetV2 file: ``mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.75_192.h5``."""
    end = "" if top else "_no_top"
    return f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(width_mult)}_{size_px}{end}.h5"


def v3_file_name(network: str, width_mult: float, *, top: bool) -> str:
    """Keras' name of a MobileNetV3 file: ``weights_mobilenet_v3_small_minimalistic_224_1.0_float.h5``."""
    return f"weights_mobilenet_v3_{network}_224_{float(width_mult)}_float{'' if top else '_no_top_v2'}.h5"


def keras_sets() -> tuple[WeightSet, ...]:
    """Every ImageNet set of Keras' MobileNets: first those with their top, then the same without."""
    return tuple(found for top in (True, False) for sets in (_v1_sets, _v2_sets, _v3_sets) for found in sets(top))


def _v1_sets(top: bool) -> Iterator[WeightSet]:
    for claim in V1_CLAIMS:
        file_name = v1_file_name(claim.width_mult, claim.size_px, top=top)
        keras_name = f"mobilenet_{claim.width_mult:0.2f}_{claim.size_px}"
        yield _weight_set("mobilenet_v1", claim, f"mobilenet/{file_name}", top, mirror=V1_MIRROR, keras_name=keras_name)


def _v2_sets(top: bool) -> Iterator[WeightSet]:
    for claim in V2_CLAIMS:
        file_name = v2_file_name(claim.width_mult, claim.size_px, top=top)
        keras_name = f"mobilenetv2_{claim.width_mult:0.2f}_{claim.size_px}"
        yield _weight_set(
            "mobilenet_v2", claim, f"mobilenet_v2/{file_name}", top, mirror=V2_MIRROR, keras_name=keras_name
        )


def _v3_sets(top: bool) -> Iterator[WeightSet]:
    for row in V3_ROWS:
        claim = Claim(row.width_mult, 224, row.top1, None, KERAS_V3)
        path = f"mobilenet_v3/{v3_file_name(row.network, row.width_mult, top=top)}"
        yield _weight_set(f"mobilenet_v3_{row.network}", claim, path, top, md5=row.md5 if top else row.notop_md5)


def _weight_set(
    architecture: str,
    claim: Claim,
    path: str,
    top: bool,
    *,
    mirror: str | None = None,
    md5: str | None = None,
    keras_name: str | None = None,
) -> WeightSet:
    size_px = claim.size_px
    file_name = path.rsplit("/", 1)[-1]
    name = f"{architecture}.keras_in1k_a{round(claim.width_mult * 100):03d}_r{size_px}{'' if top else '_notop'}"
    return WeightSet(
        name=name,
        architecture=architecture,
        dialect="keras",
        width_mult=claim.width_mult,
        url=BASE_URL + path,
        mirrors=(mirror + file_name,) if mirror else (),
        num_bytes=NUM_BYTES.get(name),
        sha256=SHA256.get(name),
        hash_prefix=None,
        md5=md5,
        num_classes=1000 if top else 0,
        background_class=False,
        input=InputSpec((size_px, size_px), round(size_px / CENTRAL_FRACTION), "bilinear", HALF, HALF),
        licence="Apache-2.0",
        source=claim.source,
        top1=claim.top1 if top else None,
        top5=claim.top5 if top else None,
        tags=() if top else ("notop",),
        aliases=(file_name, keras_name) if keras_name and top else (file_name,),
    )
