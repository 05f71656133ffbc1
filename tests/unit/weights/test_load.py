"""From names and files to filled networks, and what is said where they do not fit."""

import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from litevision.errors import (
    FileMissingError,
    UnknownNameError,
    UsageError,
    WeightsError,
    WeightsMismatchError,
)
from litevision.models import Network
from litevision.models.mobilenet_v2 import Stage
from litevision.models.mobilenet_v3 import Bneck
from litevision.registry.weight_sets import WeightSet, find_weight_set
from litevision.weights import source
from litevision.weights.create import create
from litevision.weights.load import load_weights
from litevision.weights.save import save_weights
from weight_files import assert_same_weights, network, stored

NAME, WIDTH = "mobilenet_v2", 0.35
HEAD = ("head.classifier",)


@pytest.fixture(scope="module")
def ours() -> Network:
    """A small V2 of torchvision's form."""
    return network(NAME, width_mult=WIDTH)


@pytest.fixture
def tensors(ours: Network) -> dict[str, Tensor]:
    """Its tensors under torchvision's names, to be spoilt."""
    return stored(ours, "torchvision").tensors


Write = Callable[[dict[str, Any]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(tensors: dict[str, Any]) -> Path:
        torch.save(tensors, tmp_path / "file.pth")
        return tmp_path / "file.pth"

    return write_file


def test_a_file_alone(ours: Network, tensors: dict[str, Tensor], write: Write) -> None:
    loaded = load_weights(write(tensors))
    assert loaded.network.config == ours.config
    assert (loaded.layout.name, loaded.source.weight_set, loaded.applied.dropped) == ("torchvision", None, {})
    assert_same_weights(loaded.network, ours)


def test_a_wrapped_file(ours: Network, tensors: dict[str, Tensor], write: Write) -> None:
    counted = {"features.0.1.num_batches_tracked": torch.tensor(9), **tensors}
    loaded = load_weights(write({"epoch": 1, "state_dict": {f"module.{name}": t for name, t in counted.items()}}))
    assert loaded.applied.dropped == {"features.0.1.num_batches_tracked": "counts batches; nothing reads it"}
    assert_same_weights(loaded.network, ours)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype, ours: Network, tensors: dict[str, Tensor], write: Write) -> None:
    loaded = load_weights(write({name: tensor.to(dtype) for name, tensor in tensors.items()}))
    for name, tensor in loaded.network.state_dict().items():
        if tensor.is_floating_point():
            assert tensor.dtype == torch.float32
            assert torch.equal(tensor, ours.state_dict()[name].to(dtype).float())


def lose(tensors: dict[str, Tensor]) -> None:
    del tensors["features.9.conv.0.0.weight"]


def gain(tensors: dict[str, Tensor]) -> None:
    tensors["features.99.weight"] = torch.zeros(2, 3)


def reshape(tensors: dict[str, Tensor]) -> None:
    tensors["features.0.1.bias"] = torch.zeros(5)


def quantise(tensors: dict[str, Tensor]) -> None:
    tensors["features.0.1.bias"] = torch.zeros(16, dtype=torch.int8)


def flatten(tensors: dict[str, Tensor]) -> None:
    tensors["classifier.1.bias"] = torch.tensor(1.0)


def spoil_all(tensors: dict[str, Tensor]) -> None:
    for spoil in (lose, gain, reshape):
        spoil(tensors)


WHAT = r"file.pth: these are not torchvision weights of mobilenet_v2 \(dialect torchvision, width 0.35\): "
DAMAGED = r"\. Is it another network or width, or a damaged file\?$"
MISFITS = [
    (lose, r"1 missing: features.9.conv.0.0.weight \(144, 24, 1, 1\)"),
    (gain, r"1 unknown: features.99.weight \(2, 3\)"),
    (reshape, r"1 of another shape: features.0.1.bias \(file \(5,\), network \(16,\)\)"),
    (quantise, r"1 of another shape: features.0.1.bias \(file \(16,\) of int8, network \(16,\)\)"),
    (flatten, r"1 of another shape: classifier.1.bias \(file \(\), network \(1000,\)\)"),
    (
        spoil_all,
        r"1 missing: features.9\S+ \(\S.*\); 1 unknown: features.99\S+ .*; 1 of another shape: features.0.*",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), MISFITS)
def test_nothing_is_left_over_in_silence(
    spoil: Callable[[dict[str, Tensor]], None], message: str, tensors: dict[str, Tensor], write: Write
) -> None:
    spoil(tensors)
    file = write(tensors)
    for load in (lambda: load_weights(file), lambda: create(NAME, width_mult=WIDTH, weights=file)):
        with pytest.raises(WeightsMismatchError, match=f"{WHAT}{message}{DAMAGED}"):
            load()


def test_a_message_names_the_first_few_and_counts_all(tensors: dict[str, Tensor], write: Write) -> None:
    for i in range(10):
        del tensors[f"features.{i + 3}.conv.2.weight"]
    with pytest.raises(
        WeightsMismatchError, match=r"10 missing: features.3\S+ \(.*?\), features.4.*?, features.5.*?, \.\.\.\. Is"
    ):
        load_weights(write(tensors))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mobilenet_v1"}, r"these are not \S+ weights of mobilenet_v1 .*missing: .*unknown: "),
        (
            {"name": "mobilenet_v3_large"},
            "these are not torchvision weights of mobilenet_v3_large .*missing: .*unknown: ",
        ),
        ({"width_mult": 0.5}, r"of mobilenet_v2 \(dialect torchvision, width 0.5\): \d+ of another shape: .*"),
        ({"name": NAME, "dialect": "keras"}, r"of mobilenet_v2 \(dialect keras, width .*missing: .*unknown: "),
        ({"name": "dla34", "dialect": "timm"}, "weights of dla34"),
    ],
)
def test_weights_of_another_network(
    arguments: dict[str, Any], message: str, tensors: dict[str, Tensor], write: Write
) -> None:
    ends = r"The file holds mobilenet_v2 \(dialect torchvision, width 0.35\)$"
    with pytest.raises(WeightsMismatchError, match=f"{message}.*{ends}"):
        load_weights(write(tensors), **arguments)


def test_create_takes_its_own_width_not_a_bare_files(tensors: dict[str, Tensor], write: Write) -> None:
    with pytest.raises(WeightsMismatchError, match=r"width 1\): .* The file holds mobilenet_v2 \(.*, width 0.35\)"):
        create(NAME, weights=write(tensors))


def test_a_layout_that_the_network_never_has(tmp_path: Path) -> None:
    save_weights(network(width_mult=0.25, dialect="keras"), tmp_path / "v1.h5", "keras")
    with pytest.raises(
        WeightsMismatchError, match=r"no layout stores shufflenet_v2_x1_0 in such a file. The file holds mob"
    ):
        create("shufflenet_v2_x1_0", weights=tmp_path / "v1.h5")


def test_unknown_networks_show_what_they_hold(write: Write) -> None:
    resnet = {"conv1.weight": torch.zeros(64, 3, 7, 7), "layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)}
    with pytest.raises(
        WeightsError,
        match=r"no network of litevision has these 2 tensors \(the first: conv1.weight \(64, 3, 7, 7\), la",
    ):
        load_weights(write(resnet))


def test_another_number_of_classes(tensors: dict[str, Tensor], write: Write) -> None:
    file = write(tensors)
    message = r"2 of another shape: classifier.* The file has 1000 classes, the network 10: .*\(reset_classifier\)$"
    with pytest.raises(WeightsMismatchError, match=message):
        create(NAME, width_mult=WIDTH, weights=file, num_classes=10)
    with pytest.raises(WeightsMismatchError, match=message):
        load_weights(file, num_classes=10)


def test_reset_classifier_is_said(
    ours: Network, tensors: dict[str, Tensor], write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    loaded = load_weights(write(tensors), num_classes=10, reset_classifier=True)
    assert loaded.applied.reset == ("head.classifier.weight", "head.classifier.bias")
    assert loaded.network.head.classifier.weight.shape == (10, 1280)
    assert_same_weights(loaded.network, replace_classifier(ours, loaded.network))
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage().endswith(
        "file.pth: the classifier starts from scratch (left out: head.classifier.weight, head.classifier.bias)"
    )


def replace_classifier(ours: Network, other: Network) -> Network:
    """``ours`` with the classifier of ``other``."""
    made = network(NAME, width_mult=WIDTH, num_classes=other.config.num_classes)
    made.load_state_dict(
        {**ours.state_dict(), **{n: t for n, t in other.state_dict().items() if n.startswith(HEAD)}}, strict=True
    )
    return made


def test_reset_classifier_does_nothing_to_one_that_fits(
    ours: Network, tensors: dict[str, Tensor], write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load_weights(write(tensors), reset_classifier=True)
    assert loaded.applied.reset == ()
    assert_same_weights(loaded.network, ours)
    assert caplog.records == []


def test_reset_classifier_forgives_nothing_else(tensors: dict[str, Tensor], write: Write) -> None:
    reshape(tensors)
    with pytest.raises(WeightsMismatchError, match=r"1 of another shape: features\.0"):
        load_weights(write(tensors), num_classes=10, reset_classifier=True)


def test_a_body_asks_for_a_fresh_head(ours: Network, tensors: dict[str, Tensor], write: Write) -> None:
    file = write({name: tensor for name, tensor in tensors.items() if not name.startswith("classifier")})
    assert load_weights(file).network.config.num_classes == 0
    with pytest.raises(
        WeightsMismatchError, match=r"2 missing: .*The file has no classifier: .*\(reset_classifier\), or for none"
    ):
        create(NAME, width_mult=WIDTH, weights=file, num_classes=5)
    made = create(NAME, width_mult=WIDTH, weights=file, num_classes=5, reset_classifier=True)
    assert_same_weights(made, replace_classifier(ours, made))


def test_a_body_of_v3_gets_its_whole_head(tmp_path: Path) -> None:
    """Keras' files without top end before the hidden layer."""
    body = network("mobilenet_v3_small", dialect="keras", final_endpoint="conv_last")
    save_weights(body, tmp_path / "notop.h5", "keras")
    assert load_weights(tmp_path / "notop.h5").network.config.final_endpoint == "conv_last"
    loaded = load_weights(tmp_path / "notop.h5", num_classes=5, reset_classifier=True)
    assert {name.rsplit(".", 1)[0] for name in loaded.applied.reset} == {"head.hidden", "head.classifier"}
    assert torch.equal(loaded.network.features.conv_last.conv.weight, body.features.conv_last.conv.weight)


def test_parts_of_a_file(ours: Network, tensors: dict[str, Tensor], write: Write) -> None:
    file = write(tensors)
    features = load_weights(file, num_classes=0)
    assert features.applied.dropped == dict.fromkeys(
        ("classifier.1.weight", "classifier.1.bias"), "the network ends before it"
    )
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = ours.forward_endpoints(x)
        assert torch.equal(features.network.eval()(x), expected["global_pool"])
        part = load_weights(file, final_endpoint="block_5").network.eval()
        assert torch.equal(part(x), expected["block_5"])
        pyramid = create(NAME, width_mult=WIDTH, weights=file, features_only=True, out_indices=(1, 3)).eval()
        maps = pyramid(x)
    assert [end.name for end in pyramid.feature_info] == ["block_2", "block_12"]
    assert all(torch.equal(got, expected[end.name]) for got, end in zip(maps, pyramid.feature_info, strict=True))


def test_a_pyramid_needs_no_head_and_no_last_convolution(tensors: dict[str, Tensor], write: Write) -> None:
    file = write({n: t for n, t in tensors.items() if not n.startswith(("classifier", "features.18"))})
    assert load_weights(file).network.config.final_endpoint == "block_16"
    assert len(create(NAME, width_mult=WIDTH, weights=file, features_only=True).feature_info) == 5


def test_output_stride_takes_the_same_weights(ours: Network, tensors: dict[str, Tensor], write: Write) -> None:
    loaded = load_weights(write(tensors), output_stride=8)
    assert loaded.network.endpoints[-1].stride == 8
    assert_same_weights(loaded.network, ours)


def test_custom_rows(tmp_path: Path) -> None:
    rows = (Stage(1, 16, 1, 1), Stage(4, 24, 2, 2), Stage(4, 40, 3, 2))
    ours = network(NAME, rows=rows)
    save_weights(ours, tmp_path / "custom.pth", "torchvision")
    assert_same_weights(create(NAME, rows=rows, weights=tmp_path / "custom.pth"), ours)


def with_background(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: torch.cat([t[:1] * 0, t]) if n.startswith("classifier") else t for n, t in tensors.items()}


def test_a_background_class_is_left_out_where_it_is_asked_for(
    ours: Network, tensors: dict[str, Tensor], write: Write
) -> None:
    file = write(with_background(tensors))
    assert load_weights(file).network.config.num_classes == 1001
    with pytest.raises(WeightsMismatchError, match=r"1001 classes, the network 1000: .*class 0 .*\(drop_background\)"):
        create(NAME, width_mult=WIDTH, weights=file)
    loaded = load_weights(file, drop_background=True)
    assert loaded.applied.background_dropped
    assert_same_weights(loaded.network, ours)
    assert_same_weights(create(NAME, width_mult=WIDTH, weights=file, drop_background=True), ours)


def test_drop_background_of_a_head_without_one_is_refused(tensors: dict[str, Tensor], write: Write) -> None:
    with pytest.raises(WeightsMismatchError, match="The file has 999 classes, the network 1000"):
        create(NAME, width_mult=WIDTH, weights=write(tensors), drop_background=True)


def test_a_keras_archive(tmp_path: Path) -> None:
    ours = network(width_mult=0.25, dialect="keras", num_classes=4)
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.write(save_weights(ours, tmp_path / "model.weights.h5", "keras"), "model.weights.h5")
        archive.writestr("config.json", '{"class_name": "Lambda"}')  # is never read
    loaded = load_weights(tmp_path / "model.keras")
    assert loaded.network.config == ours.config
    assert_same_weights(loaded.network, ours)


# --- litevision's own files ---


CUSTOM = [
    (
        NAME,
        {
            "dialect": "keras",
            "width_mult": 0.6,
            "output_stride": 16,
            "dropout": 0.5,
            "rows": (Stage(1, 16, 1, 1), Stage(4, 24, 2, 2)),
            "depth_mult": 1.5,
        },
    ),
    (
        "mobilenet_v3_small",
        {
            "dialect": "slim",
            "width_mult": 0.9,
            "in_channels": 1,
            "rows": (Bneck(3, 16, 16, True, "relu", 2), Bneck(5, 40, 24, False, "hardswish", 2)),
            "hidden_channels": 32,
        },
    ),
]


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
@pytest.mark.parametrize(("name", "arguments"), CUSTOM)
def test_our_own_file_says_all(name: str, arguments: dict[str, Any], ending: str, tmp_path: Path) -> None:
    ours = network(name, num_classes=7, **arguments)
    file = save_weights(ours, tmp_path / f"ours{ending}")
    loaded = load_weights(file)
    assert loaded.network.config == ours.config
    assert loaded.layout.name == "native"
    assert_same_weights(loaded.network, ours)
    # The dialect, the width and the rows are the file's; classes and input are create's own arguments.
    made = create(name, weights=file, num_classes=7, in_channels=arguments.get("in_channels", 3))
    assert made.config == ours.config
    assert_same_weights(made, ours)


def test_our_own_file_of_another_dialect_is_refused(tmp_path: Path) -> None:
    file = save_weights(network(NAME, dialect="keras", width_mult=WIDTH), tmp_path / "ours.safetensors")
    holds = r"ours.safetensors holds mobilenet_v2 \(dialect keras, width 0.35\), got"
    with pytest.raises(WeightsMismatchError, match=f"{holds} dialect 'torchvision'"):
        create(NAME, width_mult=WIDTH, dialect="torchvision", weights=file)
    with pytest.raises(WeightsMismatchError, match=f"{holds} dialect 'timm'"):
        load_weights(file, dialect="timm")
    with pytest.raises(WeightsMismatchError, match=f"{holds} architecture 'mobilenet_v1'"):
        create("mobilenet_v1", weights=file)
    with pytest.raises(WeightsMismatchError, match=f"{holds} width_mult 0.5"):
        create(NAME, width_mult=0.5, weights=file)


def test_our_own_names_without_configuration(tmp_path: Path) -> None:
    ours = network(NAME, dialect="keras", width_mult=WIDTH)
    torch.save(ours.state_dict(), tmp_path / "ours.pth")
    with pytest.raises(WeightsError, match=r"ours.pth: these are litevision's own names .*pass the dialect"):
        load_weights(tmp_path / "ours.pth")
    loaded = load_weights(tmp_path / "ours.pth", dialect="keras")
    assert loaded.network.config == ours.config
    assert_same_weights(loaded.network, ours)
    assert create(NAME, width_mult=WIDTH, weights=tmp_path / "ours.pth").config.dialect == "torchvision"


def own_record() -> dict[str, Any]:
    return json.loads(network(width_mult=0.25, num_classes=3).config.to_json())


@pytest.mark.parametrize(
    "header",
    [
        "garbage",
        "[]",
        "{}",
        "null",
        "[" * 5000,
        json.dumps({**own_record(), "architecture": "mobilenet_v9"}),
        json.dumps({**own_record(), "architecture": ["mobilenet_v1"]}),
        json.dumps({**own_record(), "dialect": "torchvision"}),
        json.dumps({**own_record(), "width_mult": "wide"}),
        json.dumps({**own_record(), "surprise": 1}),
        json.dumps({**own_record(), "options": {"surprise": 1}}),
        json.dumps({**own_record(), "final_endpoint": "nowhere"}),
        json.dumps({**own_record(), "rows": [["Surprise", {}]]}),
        json.dumps({**own_record(), "rows": [["Rules", {"dialect": 1, "widths": 2, "dropout": 3}]]}),
        json.dumps({**own_record(), "num_classes": 2.5}),
    ],
)
def test_a_header_that_is_no_network(header: str, tmp_path: Path) -> None:
    save_file({"features.stem.conv.weight": torch.zeros(2)}, tmp_path / "x.safetensors", {"litevision": header})
    with pytest.raises(WeightsError, match=r"x.safetensors: the configuration in its header cannot be built") as caught:
        load_weights(tmp_path / "x.safetensors")
    assert "\n" not in str(caught.value)


def test_a_header_cannot_ask_for_memory(tmp_path: Path) -> None:
    header = json.dumps({**own_record(), "num_classes": 10**12})
    file = save_weights(network(width_mult=0.25, num_classes=3), tmp_path / "x.safetensors")
    save_file(load_file(file), file, {"litevision": header})
    with pytest.raises(WeightsError, match="num_classes must be 1,000,000 at most, got 1000000000000"):
        load_weights(file)


# --- weight sets ---

TV, W050 = "mobilenet_v2.tv_in1k_v1", "mobilenet_v2.timm_lamb_in1k_w050"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Downloads become files made here; the list says what was fetched."""
    names: list[str] = []

    def fetch(row: WeightSet) -> Path:
        names.append(row.name)
        made = network(
            row.architecture,
            dialect=row.dialect,
            width_mult=row.width_mult,
            num_classes=row.num_classes,
            **row.options,
        )
        layout = row.dialect.partition("_")[0]  # of timm_tf, timm
        return save_weights(made, tmp_path / ("set.h5" if layout == "keras" else "set.pth"), layout)

    monkeypatch.setattr(source, "fetch", fetch)
    return names


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        (NAME, {"weights": TV}, TV),
        (NAME, {"weights": "MobileNet_V2_Weights.IMAGENET1K_V1"}, TV),
        (NAME, {"weights": "default"}, find_weight_set(NAME).name),
        (NAME, {"weights": "default", "dialect": "keras"}, "mobilenet_v2.keras_in1k_a100_r224"),
        (NAME, {"weights": "default", "width_mult": 0.5}, W050),
        (NAME, {"weights": W050}, W050),
        (NAME, {"weights": W050, "width_mult": 0.5, "dialect": "timm"}, W050),
        ("mobilenetv2_050", {"weights": "default"}, W050),
        ("MobileNetV2", {"weights": "default", "width_mult": 0.75}, "mobilenet_v2.keras_in1k_a075_r224"),
        ("mobilenetv2_110d", {"weights": "default"}, "mobilenet_v2.timm_ra_in1k_w110d"),
        (NAME, {"weights": "mobilenet_v2.timm_ra_in1k_w110d"}, "mobilenet_v2.timm_ra_in1k_w110d"),
    ],
)
def test_create_from_a_weight_set(name: str, arguments: dict[str, Any], expected: str, fetched: list[str]) -> None:
    made = create(name, **arguments)
    assert fetched == [expected]
    row = find_weight_set(expected)
    config = made.config
    assert (config.architecture, config.dialect, config.width_mult) == (row.architecture, row.dialect, row.width_mult)
    assert config.options == dict(row.options)
    kept = network(
        row.architecture, dialect=row.dialect, width_mult=row.width_mult, num_classes=row.num_classes, **row.options
    )
    assert_same_weights(made, kept)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            NAME,
            {"weights": W050, "width_mult": 0.75},
            r"w050 holds mobilenet_v2 \(dialect timm, width 0.5\), got width_mult 0.75",
        ),
        (NAME, {"weights": TV, "dialect": "keras"}, "got dialect 'keras': leave it out, or choose other weights"),
        ("mobilenet_v1", {"weights": TV}, "holds mobilenet_v2 .*, got architecture 'mobilenet_v1'"),
        ("mobilenetv2_050", {"weights": TV}, "got dialect 'timm'"),
    ],
)
def test_a_contradiction_is_told_before_the_download(
    name: str, arguments: dict[str, Any], message: str, fetched: list[str]
) -> None:
    with pytest.raises(WeightsMismatchError, match=message):
        create(name, **arguments)
    assert fetched == []


def test_load_weights_by_name(fetched: list[str]) -> None:
    loaded = load_weights(W050)
    assert (loaded.network.config.width_mult, loaded.source.label) == (0.5, W050)
    assert loaded.source.weight_set == find_weight_set(W050)
    body = load_weights("mobilenet_v1.keras_in1k_a025_r224_notop")
    assert (body.network.config.width_mult, body.network.config.num_classes) == (0.25, 0)


@pytest.mark.parametrize(
    ("weights", "kind", "message"),
    [
        ("mobilenet_v2.tv_in1k_v3", UnknownNameError, "no weight set .*'mobilenet_v2.tv_in1k_v3'. Did you mean"),
        ("nothere.pth", FileMissingError, "no weight file at nothere.pth"),
        ("folder/nothere", FileMissingError, "no weight file at folder/nothere"),
        (Path("nothere"), FileMissingError, "no weight file at nothere"),
    ],
)
def test_weights_that_do_not_exist(
    weights: str | Path, kind: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message):
        create(NAME, weights=weights)


def test_no_default(fetched: list[str]) -> None:
    with pytest.raises(UnknownNameError, match=r"no published weights for 'mobilenet_v2' .* at width 0.6"):
        create(NAME, width_mult=0.6, weights="default")
    with pytest.raises(UnknownNameError, match="in the dialect tutorial at width 1"):
        create(NAME, dialect="tutorial", weights="default")


def test_a_url_is_fetched(
    monkeypatch: pytest.MonkeyPatch, ours: Network, tensors: dict[str, Tensor], write: Write
) -> None:
    asked: list[object] = []
    file = write(tensors)
    monkeypatch.setattr(source, "fetch", lambda url: (asked.append(url), file)[1])
    loaded = load_weights("https://example.org/w.pth")
    assert asked == ["https://example.org/w.pth"]
    assert loaded.source.label == "https://example.org/w.pth"
    assert_same_weights(loaded.network, ours)


def test_a_folder_does_not_hide_a_weight_set(
    fetched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(TV).mkdir()
    create(NAME, weights=TV)
    assert fetched == [TV]


def test_out_indices_need_a_pyramid() -> None:
    with pytest.raises(UsageError, match="pass features_only=True"):
        create(NAME, out_indices=(1,))
