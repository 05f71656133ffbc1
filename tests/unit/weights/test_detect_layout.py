import pytest
import torch

from litevision.errors import WeightsError
from litevision.models import build, configure
from litevision.registry import ALIASES, ARCHITECTURES
from litevision.weights.detect_layout import detect_layout
from litevision.weights.layouts import layout_named
from litevision.weights.read import StoredWeights
from weight_files import shapes_only, stored

FOREIGN = [
    (layout, name, dialect)
    for layout in ("torchvision", "timm", "megvii", "keras", "slim")
    for name, row in ARCHITECTURES.items()
    for dialect in row.dialects
    if dialect in layout_named(layout).dialects and row.family in layout_named(layout).mappings
]
DEEPER = [name for name, variant in ALIASES.items() if variant.options]


def of(name: str, layout: str, **arguments: object) -> StoredWeights:
    return shapes_only(build(configure(name, **arguments), device="meta"), layout)


@pytest.mark.parametrize("width_mult", [1.0, 0.75, 0.5])
@pytest.mark.parametrize(("layout", "name", "dialect"), FOREIGN)
def test_every_network_in_every_foreign_layout(layout: str, name: str, dialect: str, width_mult: float) -> None:
    found = detect_layout(of(name, layout, dialect=dialect, width_mult=width_mult, num_classes=7))
    assert found is not None
    told = "timm" if dialect == "timm_tf" else dialect  # the tensors are the same
    config = found.config
    assert (config.architecture, config.dialect, config.width_mult) == (name, told, width_mult)
    assert (found.layout, config.num_classes, config.final_endpoint, found.mismatches) == (layout, 7, None, 0)


@pytest.mark.parametrize("width_mult", [1.4, 1.3, 0.35])
@pytest.mark.parametrize("layout", ["torchvision", "timm", "keras", "slim"])
def test_the_other_published_widths(layout: str, width_mult: float) -> None:
    found = detect_layout(of("mobilenet_v2", layout, dialect=layout, width_mult=width_mult))
    assert found is not None
    assert (found.config.width_mult, found.mismatches) == (width_mult, 0)


@pytest.mark.parametrize("name", DEEPER)
def test_timms_deeper_networks(name: str) -> None:
    found = detect_layout(of(name, "timm"))
    assert found is not None
    assert (found.config, found.mismatches) == (configure(name), 0)


def test_an_unpublished_width_is_read_from_the_shapes() -> None:
    file = of("mobilenet_v2", "torchvision", width_mult=0.6)
    for found in (detect_layout(file), detect_layout(file, width_mult=0.6)):
        assert found is not None
        assert (found.config.width_mult, found.mismatches) == (0.6, 0)


def test_timm_is_meant_unless_timm_tf_is_asked_for() -> None:
    file = of("mobilenet_v3_large", "timm", dialect="timm")
    assert detect_layout(file).config.dialect == "timm"
    assert detect_layout(file, dialect="timm_tf").config.dialect == "timm_tf"


@pytest.mark.parametrize(
    ("name", "layout", "dialect", "end", "kept"),
    [
        ("mobilenet_v2", "torchvision", "torchvision", "block_12", "block_12"),
        ("mobilenet_v3_large", "keras", "keras", "conv_last", "conv_last"),  # Keras' files without top
        ("mobilenet_v3_small", "timm", "timm", "block_10", "block_10"),
        ("shufflenet_v2_x1_0", "torchvision", "torchvision", "stage4_unit4", "stage4_unit4"),
        ("mobilenet_v1", "slim", "slim", "Conv2d_13_pointwise", None),  # the whole backbone: only the classifier lacks
    ],
)
def test_bodies(name: str, layout: str, dialect: str, end: str, kept: str | None) -> None:
    found = detect_layout(of(name, layout, dialect=dialect, final_endpoint=end))
    assert found is not None
    assert (found.config.architecture, found.config.final_endpoint, found.mismatches) == (name, kept, 0)
    assert found.config.num_classes == 0


def test_a_hole_is_no_end() -> None:
    file = of("mobilenet_v2", "torchvision")
    del file.tensors["features.9.conv.0.0.weight"]
    found = detect_layout(file)
    assert found is not None
    assert (found.config.final_endpoint, found.mismatches) == (None, 1)


def test_half_a_classifier_is_no_body() -> None:
    file = of("mobilenet_v2", "torchvision")
    del file.tensors["classifier.1.bias"]
    assert detect_layout(file).mismatches == 1


def test_unknown_networks_are_none() -> None:
    resnet = {"conv1.weight": (64, 3, 7, 7), "layer1.0.conv1.weight": (64, 64, 3, 3), "fc.weight": (1000, 512)}
    for kind in ("torch", "safetensors", "hdf5", "tensorflow"):
        assert detect_layout(StoredWeights({name: torch.empty(shape) for name, shape in resnet.items()}, kind)) is None


def test_a_few_familiar_names_are_no_network() -> None:
    assert (
        detect_layout(StoredWeights({"fc.weight": torch.empty(1000, 1024), "fc.bias": torch.empty(1000)}, "torch"))
        is None
    )


def test_own_names_alone_leave_the_dialect_open() -> None:
    file = of("mobilenet_v2", "native", dialect="keras")
    with pytest.raises(WeightsError, match=r"torchvision, timm, keras, slim fit alike: pass the dialect"):
        detect_layout(file)
    assert detect_layout(file, dialect="slim").config.dialect == "slim"
    assert detect_layout(file, likely_dialect="timm").config.dialect == "timm"
    with pytest.raises(WeightsError, match="pass the dialect"):
        detect_layout(file, likely_dialect="tutorial")  # has other tensors


def test_own_names_of_one_dialect_are_enough() -> None:
    found = detect_layout(of("mobilenet_v2", "native", dialect="tutorial"))
    assert found is not None
    assert (found.config.dialect, found.mismatches) == ("tutorial", 0)


def test_counts_are_nothing() -> None:
    file = stored(build(configure("mobilenet_v1", width_mult=0.25, dialect="timm")), "timm")
    file.tensors["bn1.num_batches_tracked"] = torch.tensor(3)
    assert detect_layout(file).mismatches == 0
