import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from litevision.errors import DownloadError
from litevision.registry import ALIASES, ARCHITECTURES, DETECTORS
from litevision.registry.weight_sets import weight_sets
from litevision.zoo import BUNDLES

Run = Callable[..., tuple[int, str, str]]


def test_json_holds_everything_that_the_registry_holds(litevision: Run) -> None:
    code, out, err = litevision("models", "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert [row["name"] for row in answer["architectures"]] == list(ARCHITECTURES)
    assert [row["name"] for row in answer["aliases"]] == list(ALIASES)
    assert [row["name"] for row in answer["weights"]] == [row.name for row in weight_sets()]
    found = {row["name"]: row for row in answer["architectures"]}
    assert (
        found["mobilenet_v2"].items()
        >= {
            "title": "MobileNetV2",
            "paper": "arXiv:1801.04381",
            "dialects": ["torchvision", "timm", "keras", "slim", "tutorial"],
            "num_params": 3_504_872,
            "macs": 300_774_272,
            "size_hw": [224, 224],
        }.items()
    )
    assert "mobilenetv2_140" in found["mobilenet_v2"]["aliases"]
    published = {row["name"]: row for row in answer["weights"]}["mobilenet_v2.tv_in1k_v2"]
    assert (published["top1"], published["top5"], published["size_hw"]) == (72.154, 90.822, [224, 224])
    assert {(row["checked"], row["check"] == "sha256") for row in answer["weights"]} == {(True, True), (False, False)}
    assert {"prefix", "md5", "nothing"} < {row["check"] for row in answer["weights"]}


@pytest.mark.parametrize("before", [None, "0"])
def test_weights_without_a_full_hash_ask_for_a_flag(
    litevision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path))
    monkeypatch.delenv("LITEVISION_OFFLINE", raising=False)
    monkeypatch.delenv("LITEVISION_UNCHECKED", raising=False)
    if before is not None:
        monkeypatch.setenv("LITEVISION_UNCHECKED", before)
    name = "shufflenet_v2_x1_0.tv_in1k_v1"
    row = next(line for line in litevision("models", "--weights")[1].splitlines() if line.startswith(name))
    assert row.split()[-2:] == ["unchecked", "BSD-3-Clause"]
    asked: list[str] = []

    def transfer(url: str, *_: object, **__: object) -> None:
        asked.append(url)
        raise DownloadError("no network in tests")

    monkeypatch.setattr("litevision.weights.download.transfer", transfer)
    code, out, err = litevision("convert", "shufflenet_v2_x1_0", "-o", str(tmp_path / "x.safetensors"))
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {name} cannot be checked: only the first digits of its sha256 are known, so a file")
    assert err.count("\n") == 1
    assert asked == []
    for flags in (("--unchecked", "convert"), ("convert", "--unchecked")):
        code, _, err = litevision(*flags, "shufflenet_v2_x1_0", "-o", str(tmp_path / "x.safetensors"))
        assert "no network in tests" in err
    assert len(asked) == 2
    assert os.environ.get("LITEVISION_UNCHECKED") == before


def test_the_text_has_a_line_for_each(litevision: Run) -> None:
    code, out, _ = litevision("models")
    assert code == 0
    bundles, architectures, detectors, names, weights = out.split("\n\n")
    assert detectors.splitlines()[2].split() == ["centernet", "CenterNet", "arXiv:1904.07850"]
    assert [line.split()[0] for line in detectors.splitlines()[2:]] == list(DETECTORS)
    assert [line.split()[0] for line in bundles.splitlines()[2:]] == list(BUNDLES)
    assert architectures.splitlines()[0] == "Architectures (default dialect, 1000 classes, 224x224 pixels)"
    assert [line.split()[0] for line in architectures.splitlines()[2:]] == list(ARCHITECTURES)
    v3 = next(line for line in architectures.splitlines() if line.startswith("mobilenet_v3_small "))
    assert v3.split()[2:5] == ["2,542,856", "56,510,400", "arXiv:1905.02244"]
    assert [line.split()[0] for line in names.splitlines()[2:]] == list(ALIASES)
    assert "mobilenetv2_110d" in names
    assert "depth_mult=1.2, fixed_ends=True" in names
    with_classifier = [row.name for row in weight_sets() if "notop" not in row.tags]
    assert [line.split()[0] for line in weights.splitlines()[2:-1]] == with_classifier
    assert weights.splitlines()[-1].startswith(f"and {len(weight_sets()) - len(with_classifier)} without a classifier")


@pytest.mark.parametrize(
    ("flags", "parts"),
    [(["--weights"], ["weights"]), (["--architectures"], ["architectures", "detectors", "aliases"])],
)
def test_a_flag_leaves_the_rest_out(litevision: Run, flags: list[str], parts: list[str]) -> None:
    assert list(json.loads(litevision("models", "--json", *flags)[1])) == parts


def test_without_torch_the_costs_are_left_out_with_a_note(litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    code, out, err = litevision("models", "--architectures")
    assert code == 0
    assert out.splitlines()[1].split() == ["name", "title", "paper", "dialects,", "default", "first"]
    assert err == (
        "note: left out: counting parameters and MACs needs parts that are not installed. "
        "Install them with: pip install 'litevision[train]'\n"
    )
