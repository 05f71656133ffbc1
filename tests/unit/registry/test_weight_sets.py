"""The weight sets' rows: well formed, found by every name, and equal to what the originals say."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

import litevision
from litevision.errors import UnknownNameError
from litevision.registry.architectures import ALIASES, ARCHITECTURES, DETECTORS, row_of
from litevision.registry.digests import NUM_BYTES, SHA256
from litevision.registry.labels import imagenet_labels
from litevision.registry.weight_sets import WeightSet, default_weight_set, find_weight_set, weight_sets


def by_name(name: str) -> WeightSet:
    return next(row for row in weight_sets() if row.name == name)


def of_origin(prefix: str) -> list[WeightSet]:
    return [row for row in weight_sets() if row.name.split(".")[1].startswith(prefix)]


@pytest.mark.parametrize("row", weight_sets(), ids=lambda row: row.name)
def test_every_row_is_well_formed(row: WeightSet) -> None:
    architecture, _, rest = row.name.partition(".")
    assert architecture == row.architecture
    assert rest
    assert row.dialect in row_of(row.architecture).dialects
    assert all(urlsplit(url).scheme == "https" for url in (row.url, row.source, *row.mirrors))
    assert row.sha256 is None or (len(row.sha256) == 64 and set(row.sha256) <= set("0123456789abcdef"))
    assert row.md5 is None or (len(row.md5) == 32 and set(row.md5) <= set("0123456789abcdef"))
    if row.sha256 and row.hash_prefix:
        assert row.sha256.startswith(row.hash_prefix)
    assert (row.num_classes == 0) == ("notop" in row.tags) == row.name.endswith("_notop")
    assert row.top1 is None or (row.num_classes == 1000 and 40 < row.top1 < 83)
    assert row.top5 is None or row.top1 < row.top5 < 97
    assert (row.ap is not None) == (row.input.crop == "letterbox") == (row.architecture in DETECTORS)
    assert row.input.size_hw[0] <= row.input.resize_px <= row.input.size_hw[0] / 0.85
    json.dumps(dataclasses.asdict(row))  # plain data


def test_names_and_aliases_are_unique() -> None:
    names = [name.lower() for row in weight_sets() for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert not set(names) & (set(ARCHITECTURES) | set(ALIASES))


def test_the_sets_are_all_there() -> None:
    assert [len(of_origin(origin)) for origin in ("tv_", "timm_", "keras_", "rangilyu_")] == [9, 33, 88, 4]


def test_every_digest_belongs_to_a_set() -> None:
    names = {row.name for row in weight_sets()}
    assert set(SHA256) <= names
    assert set(NUM_BYTES) <= names
    for name, digest in SHA256.items():
        assert by_name(name).sha256 == digest


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v2.tv_in1k_v1", "mobilenet_v2.tv_in1k_v1"),
        ("MobileNet_V2.TV_in1k_V1", "mobilenet_v2.tv_in1k_v1"),
        ("nanodet_plus_m", "nanodet_plus_m.rangilyu_coco_r416"),
        ("nanodet-plus-m-1.5x_320", "nanodet_plus_m_x1_5.rangilyu_coco_r320"),
        ("MobileNet_V2_Weights.IMAGENET1K_V2", "mobilenet_v2.tv_in1k_v2"),
        ("MobileNet_V3_Small_Weights.DEFAULT", "mobilenet_v3_small.tv_in1k_v1"),
        ("ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1", "shufflenet_v2_x0_5.tv_in1k_v1"),
        ("mobilenetv3_large_100.ra_in1k", "mobilenet_v3_large.timm_ra_in1k"),
        ("timm/mobilenetv2_050.lamb_in1k", "mobilenet_v2.timm_lamb_in1k_w050"),
        ("mobilenetv2_110d", "mobilenet_v2.timm_ra_in1k_w110d"),
        ("mobilenetv3_large_100", "mobilenet_v3_large.timm_ra_in1k"),
        ("tf_mobilenetv3_small_minimal_100.in1k", "mobilenet_v3_small_minimalistic.timm_tf_in1k"),
        ("mobilenet_7_5_192_tf.h5", "mobilenet_v1.keras_in1k_a075_r192"),
        ("mobilenet_0.25_128", "mobilenet_v1.keras_in1k_a025_r128"),
        ("mobilenetv2_1.40_224", "mobilenet_v2.keras_in1k_a140_r224"),
        ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5", "mobilenet_v2.keras_in1k_a035_r96_notop"),
        ("MobileNetV3Large", "mobilenet_v3_large.keras_in1k_a100_r224"),
    ],
)
def test_a_set_is_found_by_anyones_name(name: str, expected: str) -> None:
    assert find_weight_set(name).name == expected


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("mobilenet_v1", "mobilenet_v1.timm_ra4_e3600_r224_in1k"),
        ("mobilenet_v2", "mobilenet_v2.tv_in1k_v2"),
        ("mobilenet_v3_large", "mobilenet_v3_large.tv_in1k_v2"),
        ("mobilenet_v3_small", "mobilenet_v3_small.tv_in1k_v1"),
        ("mobilenet_v3_large_minimalistic", "mobilenet_v3_large_minimalistic.timm_tf_in1k"),
        ("mobilenet_v3_small_minimalistic", "mobilenet_v3_small_minimalistic.timm_tf_in1k"),
        ("shufflenet_v2_x1_5", "shufflenet_v2_x1_5.tv_in1k_v1"),
        ("dla34", "dla34.timm_in1k"),
    ],
)
def test_an_architecture_has_a_default_set(architecture: str, expected: str) -> None:
    assert default_weight_set(architecture).name == expected
    assert find_weight_set(architecture.upper()).name == expected


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_has_weights_with_a_classifier(architecture: str) -> None:
    row = default_weight_set(architecture)
    assert (row.width_mult, row.num_classes) == (1.0, 1000)


def test_a_dialect_has_its_own_default() -> None:
    assert default_weight_set("mobilenet_v2", "timm").name == "mobilenet_v2.timm_ra_in1k"
    assert default_weight_set("mobilenet_v3_large", "timm_tf").name == "mobilenet_v3_large.timm_tf_in1k"
    assert default_weight_set("mobilenet_v1", "keras").name == "mobilenet_v1.keras_in1k_a100_r224"


def test_an_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no weight set 'mobilenet_v2.tv_in1k_v3'. Did you mean 'mobilenet_v2.tv_"
    ):
        find_weight_set("mobilenet_v2.tv_in1k_v3")


@pytest.mark.parametrize("name", ["mobilenetv2_035", "mobilenetv3_large_075"])
def test_a_network_without_weights_says_which_there_are(name: str) -> None:
    with pytest.raises(
        UnknownNameError, match=rf"no published weights for '{name}'. For mobilenet_v\d.* there are \d+ sets"
    ):
        find_weight_set(name)


def test_a_dialect_without_weights_says_which_there_are() -> None:
    with pytest.raises(UnknownNameError, match="no published weights for 'mobilenet_v2 in the dialect tutorial'"):
        default_weight_set("mobilenet_v2", "tutorial")
    with pytest.raises(UnknownNameError, match=r"no dialect of dla34 'keras'\. Known: timm"):
        default_weight_set("dla34", "keras")
    with pytest.raises(UnknownNameError, match="no architecture 'resnet50'"):
        default_weight_set("resnet50")


def test_the_registry_is_light() -> None:
    code = (
        "import sys, litevision.registry.weight_sets as w; w.weight_sets(); "
        "print([m for m in ('torch', 'timm', 'keras', 'numpy', 'torchvision') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_imagenet_labels() -> None:
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert (labels[0], labels[386], labels[999]) == ("tench", "African_elephant", "toilet_tissue")
    assert [index for index, label in enumerate(labels) if label == "crane"] == [134, 517]
    assert len(set(labels)) == 998


def test_imagenet_labels_are_keras_class_index(shared: Path) -> None:
    index = json.loads((shared / "data" / "imagenet_classes.json").read_text(encoding="utf-8"))
    assert list(imagenet_labels()) == [name for _, name in index]


@pytest.mark.parity
@pytest.mark.parametrize("row", of_origin("tv_"), ids=lambda row: row.name)
def test_torchvision_rows(row: WeightSet) -> None:
    from torchvision.models import get_model_weights

    enum = get_model_weights(row.architecture)
    member = row.aliases[0].rpartition(".")[2]
    theirs = enum[member]
    assert row.aliases[0] == str(theirs)
    assert (f"{enum.__name__}.DEFAULT" in row.aliases) == (theirs is enum.DEFAULT)
    assert row.url == theirs.url
    metrics = theirs.meta["_metrics"]["ImageNet-1K"]
    assert (row.top1, row.top5) == (metrics["acc@1"], metrics["acc@5"])
    assert row.num_classes == len(theirs.meta["categories"])
    assert round(row.num_bytes / 2**20, 3) == theirs.meta["_file_size"]
    transform = theirs.transforms()
    assert row.input.size_hw == (*transform.crop_size, *transform.crop_size)
    assert [row.input.resize_px] == transform.resize_size
    assert row.input.interpolation == transform.interpolation.value
    assert (list(row.input.mean), list(row.input.std)) == (transform.mean, transform.std)


@pytest.mark.parity
def test_no_torchvision_set_is_missing() -> None:
    from torchvision.models import get_model_weights

    theirs = {
        str(member)
        for architecture in ARCHITECTURES
        if "torchvision" in ARCHITECTURES[architecture].dialects
        for member in get_model_weights(architecture)
    }
    assert theirs == {row.aliases[0] for row in of_origin("tv_")}


@pytest.mark.parity
@pytest.mark.parametrize("row", of_origin("timm_"), ids=lambda row: row.name)
def test_timm_rows(row: WeightSet) -> None:
    from timm.models import get_pretrained_cfg

    cfg = get_pretrained_cfg(row.aliases[0])
    assert row.url == f"https://huggingface.co/{cfg.hf_hub_id}/resolve/main/model.safetensors"
    assert row.mirrors == ((cfg.url,) if cfg.url else ())
    assert row.num_classes == cfg.num_classes
    at_training_size = (3, *row.input.size_hw) == cfg.input_size
    if not at_training_size:  # the one that has no published score there
        assert row.aliases[0] == "mobilenetv4_conv_small.e3600_r256_in1k"
        assert (3, *row.input.size_hw) == cfg.test_input_size
    crop_pct = cfg.crop_pct if at_training_size else cfg.test_crop_pct
    assert row.input.resize_px == int(row.input.size_hw[0] / crop_pct)
    assert (row.input.interpolation, cfg.crop_mode) == (cfg.interpolation, "center")
    assert (row.input.mean, row.input.std) == (cfg.mean, cfg.std)
    assert row.licence.lower() == cfg.license


@pytest.mark.parity
def test_no_timm_set_is_missing() -> None:
    import timm

    ours = ("mobilenetv1_", "mobilenetv2_", "mobilenetv3_", "tf_mobilenetv3_", "dla34")
    ours += ("mobilenetv4_conv_small", "mobilenetv4_conv_medium", "mobilenetv4_conv_large")
    theirs = {
        name
        for name in timm.list_pretrained()
        if name.startswith(ours)
        and not name.endswith("_in12k")  # 11,821 classes, whose names timm does not publish with the weights
    }
    assert theirs == {row.aliases[0] for row in of_origin("timm_")}


class Shapeless:
    """Stands for any layer, tensor or model, so that Keras' address rules run without building a network."""

    shape = (None, 8, 8, 8)

    def __call__(self, *args: object, **kwargs: object) -> "Shapeless":
        return self

    def __getattr__(self, name: str) -> "Shapeless":
        return self

    def __add__(self, other: object) -> "Shapeless":
        return self

    __mul__ = __add__


def what_keras_fetches(module: ModuleType, build: Any, arguments: dict[str, Any], patch: pytest.MonkeyPatch) -> Any:
    fetched = []

    def get_file(name: str, url: str, cache_subdir: str, file_hash: str | None = None) -> str:
        fetched.append((name, url, file_hash))
        return name

    patch.setattr(module, "layers", Shapeless())
    patch.setattr(module, "Functional", Shapeless())
    patch.setattr(module, "file_utils", SimpleNamespace(get_file=get_file, exists=lambda path: False))
    build(weights="imagenet", **arguments)
    (only,) = fetched
    return only


@pytest.mark.parity
@pytest.mark.parametrize("row", of_origin("keras_"), ids=lambda row: row.name)
def test_keras_rows(row: WeightSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    import importlib

    family = (
        row.architecture.replace("_v1", "").removesuffix("_minimalistic").removesuffix("_large").removesuffix("_small")
    )
    module = importlib.import_module(f"keras.src.applications.{family}")
    builders = {
        "mobilenet_v1": "MobileNet",
        "mobilenet_v2": "MobileNetV2",
        "mobilenet_v3_large": "MobileNetV3Large",
        "mobilenet_v3_small": "MobileNetV3Small",
    }
    arguments: dict[str, Any] = {
        "input_shape": (*row.input.size_hw, 3),
        "alpha": row.width_mult,
        "include_top": row.num_classes == 1000,
    }
    if family == "mobilenet_v3":
        arguments["minimalistic"] = row.architecture.endswith("_minimalistic")
    build = getattr(module, builders[row.architecture.removesuffix("_minimalistic")])
    name, url, md5 = what_keras_fetches(module, build, arguments, monkeypatch)
    assert row.url == url
    assert row.md5 == md5
    assert row.aliases[0] == name
    assert all(mirror.endswith("/" + name) for mirror in row.mirrors)


@pytest.mark.parity
def test_keras_v3_claims_are_its_docstrings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    from keras.src.applications import mobilenet_v3

    table = [line.split("|") for line in mobilenet_v3.BASE_DOCSTRING.splitlines() if line.startswith("| mobilenet_v3")]
    theirs = {cells[1].strip(): float(cells[4]) for cells in table}
    ours = {
        f"{row.architecture}_{row.width_mult}_224": row.top1
        for row in of_origin("keras_")
        if row.architecture.startswith("mobilenet_v3") and row.num_classes
    }
    assert ours == theirs


def test_everything_is_listed_without_a_pattern() -> None:
    assert litevision.list_models() == [*ARCHITECTURES.values(), *DETECTORS.values()]
    assert litevision.list_models(weights=True) == list(weight_sets())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("minimalistic", ["mobilenet_v3_large_minimalistic", "mobilenet_v3_small_minimalistic"]),
        ("shufflenet_v2_x?_5", ["shufflenet_v2_x0_5", "shufflenet_v2_x1_5"]),
        ("MobileNetV2", ["mobilenet_v2"]),  # Keras' name
        ("tf_*small_100", ["mobilenet_v3_small"]),  # timm's
        ("centernet", ["centernet"]),
        ("resnet", []),
    ],
)
def test_networks_are_listed_by_pattern(pattern: str, expected: list[str]) -> None:
    assert [row.name for row in litevision.list_models(pattern)] == expected


def test_weight_sets_are_listed_by_pattern() -> None:
    found = litevision.list_models("mobilenet_v2.tv_*", weights=True)
    assert [row.name for row in found] == ["mobilenet_v2.tv_in1k_v2", "mobilenet_v2.tv_in1k_v1"]
    [theirs] = litevision.list_models("ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1", weights=True)
    assert (theirs.name, theirs.top1) == ("shufflenet_v2_x0_5.tv_in1k_v1", 60.552)


def test_listing_needs_no_torch() -> None:
    program = "import sys; sys.modules['torch'] = None; import litevision; print(len(litevision.list_models()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(ARCHITECTURES) + len(DETECTORS)
