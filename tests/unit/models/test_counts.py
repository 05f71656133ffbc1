"""The exact size of every network for which one was established by building it elsewhere."""

import pytest

from litevision.models import build, configure

# Trainable: weights, biases, BN's scale and shift. In all: with BN's running mean and variance, which Keras counts too.
# fmt: off
COUNTS = [
    # network                          dialect        width  classes  trainable  in all
    ("mobilenet_v1",                    "keras",       1.0,   1000,    4_231_976, 4_253_864),
    ("mobilenet_v1",                    "keras",       0.75,  1000,    2_585_560, 2_601_976),
    ("mobilenet_v1",                    "slim",        1.0,   1000,    4_231_976, 4_253_864),
    ("mobilenet_v1",                    "slim",        0.75,  1000,    2_585_560, 2_601_976),
    ("mobilenet_v1",                    "timm",        1.0,   1000,    4_231_976, 4_253_864),
    ("mobilenet_v2",                    "keras",       0.35,  1000,    1_677_128, 1_691_208),
    ("mobilenet_v2",                    "keras",       0.5,   1000,    1_968_680, 1_987_224),
    ("mobilenet_v2",                    "keras",       0.75,  1000,    2_636_424, 2_663_064),
    ("mobilenet_v2",                    "keras",       1.0,   1000,    3_504_872, 3_538_984),
    ("mobilenet_v2",                    "keras",       1.3,   1000,    5_386_792, 5_431_048),
    ("mobilenet_v2",                    "keras",       1.4,   1000,    6_108_776, 6_156_712),
    ("mobilenet_v2",                    "torchvision", 1.0,   1000,    3_504_872, 3_538_984),
    ("mobilenet_v2",                    "tutorial",    1.0,   5,       4_320_301, None),
    ("mobilenet_v3_large",              "torchvision", 1.0,   1000,    5_483_032, None),
    ("mobilenet_v3_large",              "timm",        1.0,   1000,    5_483_032, None),
    ("mobilenet_v3_large",              "keras",       1.0,   1000,    5_483_032, None),
    ("mobilenet_v3_large",              "keras",       0.75,  1000,    3_993_528, None),
    ("mobilenet_v3_large",              "slim",        1.0,   1000,    5_483_032, None),
    ("mobilenet_v3_large",              "slim",        0.75,  1000,    3_993_528, None),
    ("mobilenet_v3_large",              "tutorial",    1.0,   1000,    5_493_702, 5_518_134),
    ("mobilenet_v3_small",              "torchvision", 1.0,   1000,    2_542_856, None),
    ("mobilenet_v3_small",              "timm_tf",     1.0,   1000,    2_542_856, None),
    ("mobilenet_v3_small",              "keras",       1.0,   1000,    2_542_856, None),
    ("mobilenet_v3_small",              "keras",       0.75,  1000,    2_041_872, None),
    ("mobilenet_v3_large_minimalistic", "keras",       1.0,   1000,    3_924_288, None),
    ("mobilenet_v3_large_minimalistic", "timm",        1.0,   1000,    3_924_288, None),
    ("mobilenet_v3_small_minimalistic", "keras",       1.0,   1000,    2_044_736, None),
    ("mobilenet_v3_small_minimalistic", "timm_tf",     1.0,   1000,    2_044_736, None),
    ("mobilenet_v4_conv_small",         "timm",        0.5,   1000,    2_238_952, None),
    ("mobilenet_v4_conv_small",         "timm",        1.0,   1000,    3_774_024, None),
    ("mobilenet_v4_conv_medium",        "timm",        1.0,   1000,    9_715_512, None),
    ("mobilenet_v4_conv_large",         "timm",        1.0,   1000,   32_590_864, None),
    ("shufflenet_v2_x0_5",              "torchvision", 1.0,   1000,    1_366_792, 1_374_744),
    ("shufflenet_v2_x1_0",              "torchvision", 1.0,   1000,    2_278_604, 2_294_784),
    ("shufflenet_v2_x1_5",              "torchvision", 1.0,   1000,    3_503_624, 3_527_064),
    ("shufflenet_v2_x2_0",              "torchvision", 1.0,   1000,    7_393_996, 7_427_712),
    ("shufflenet_v2_x0_5",              "tutorial",    1.0,   1000,    1_368_648, 1_374_504),
    ("shufflenet_v2_x1_0",              "tutorial",    1.0,   1000,    2_284_574, 2_298_658),
    ("shufflenet_v2_x1_5",              "tutorial",    1.0,   1000,    3_513_224, 3_534_568),
    ("shufflenet_v2_x2_0",              "tutorial",    1.0,   1000,    7_406_686, 7_436_258),
]
# fmt: on


@pytest.mark.parametrize(("name", "dialect", "width_mult", "num_classes", "trainable", "in_all"), COUNTS)
def test_has_exactly_its_weights(
    name: str, dialect: str, width_mult: float, num_classes: int, trainable: int, in_all: int | None
) -> None:
    config = configure(name, dialect=dialect, width_mult=width_mult, num_classes=num_classes)
    network = build(config, device="meta")
    statistics = sum(buffer.numel() for buffer in network.buffers() if buffer.is_floating_point())
    found = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    assert found == trainable
    assert in_all is None or found + statistics == in_all
