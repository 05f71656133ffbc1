import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bundles import plain_metadata, write_bundle
from images import scene, stored_as
from litevision.hub import load
from litevision.training.report.card import model_card, spread_text


def table(card: str, section: str) -> list[list[str]]:
    """The cells of the first table of a section, without its rule."""
    lines = [line for line in text_of(card, section).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in (lines[0], *lines[2:])]


def text_of(card: str, section: str) -> str:
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", card, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def code(card: str, language: str) -> str:
    found = re.search(rf"^(`{{3,}}){language}\n(.*?)^\1$", card, re.DOTALL | re.MULTILINE)
    assert found
    return found[2]


def test_it_says_everything_that_a_card_must(plain_run: Any) -> None:
    run = plain_run
    card = model_card(run.results)
    low, high = run.results["scores"]["test"]["top1_interval"]
    assert card.startswith("# garments\n\n5 of 7 test images were named right: 71.4 %.")
    assert f"on 7 test images: top-1 71.4 % (95 % Wilson interval {low:.1f} % to {high:.1f} %)" in text_of(
        card, "Score"
    )
    assert table(card, "What it is")[1] == ["model.onnx", "8.9 MB", "2,236,682", "299,533,632", "cd" * 32]
    assert text_of(card, "Labels").strip() == "hat, dress, shirt"
    assert "data/garments" in text_of(card, "Data")
    assert "Garments on beds. Licence: CC0-1.0." in text_of(card, "Data")
    assert table(card, "Data")[1:] == [
        ["hat", "20", "5", "3"],
        ["dress", "21", "5", "3"],
        ["shirt", "22", "5", "3"],
        ["all", "63", "15", "9"],
    ]
    assert table(card, "Score")[1:] == [
        ["hat", "2", "1.000", "0.500", "0.667"],
        ["dress", "3", "0.667", "0.667", "0.667"],
        ["shirt", "2", "0.667", "1.000", "0.800"],
    ]
    assert table(card, "Weights it started from")[1][1:3] == ["https://example.org/weights", "Apache-2.0"]
    assert "8 images in onnxruntime 1.31.1: probabilities differ by at most 1.5e-06, 100.0 %" in card
    assert "hat (50 %), dress (67 %), shirt (100 %)" in text_of(card, "Intended use and limits")
    assert "3 epochs in 4 minutes; epoch 2 was kept; seed 4" in text_of(card, "Training")


def test_its_recipe_is_the_recipe(make_run: Any) -> None:
    run = make_run()
    run.results["recipe"]["card"]["data"] = "a fence:\n```\n````\n"
    assert tomllib.loads(code(model_card(run.results), "toml")) == run.results["recipe"]


def test_the_command_names_the_bundle(make_run: Any) -> None:
    run = make_run()
    run.results["bundle"]["path"] = "my model.onnx"
    assert code(model_card(run.results), "sh") == "litevision classify photo.jpg --model 'my model.onnx'\n"


def test_seeds_come_with_mean_and_spread(make_run: Any) -> None:
    results = make_run().results
    seeds = [93.0, 93.6, 94.5]
    assert (
        f"3 seeds: top-1 93.7 % on average, standard deviation {statistics.stdev(seeds):.1f} (93.0, 93.6, 94.5)"
        in model_card(results, [{"top1": seed} for seed in seeds])
    )
    assert "The same recipe with one seed: top-1 93.0 %." in model_card(results, [{"top1": 93.0}])
    assert "seeds" not in model_card(results)
    boxes = [{"ap": 0.64, "ap50": 0.93}, {"ap": 0.65, "ap50": 0.925}]
    assert spread_text(results, boxes, (("AP", "ap", ""), ("AP50", "ap50", "")), digits=3) == (
        "The same recipe with 2 seeds: AP 0.645 on average, standard deviation 0.007 (0.640, 0.650); "
        "AP50 0.927 on average, standard deviation 0.004 (0.930, 0.925)."
    )


def test_without_test_images_scores_or_start_weights(make_run: Any) -> None:
    card = model_card(make_run(splits=("validation",), start_weights=None).results)
    assert "5 of 7 validation images were named right" in card
    assert "so the score flatters" in card
    assert "It was trained from scratch." in text_of(card, "Weights it started from")
    none = model_card(make_run(splits=()).results)
    assert text_of(none, "Score").strip() == "Not measured."
    assert "misses most" not in none


def test_unknown_licences_are_said_to_be_unknown(make_run: Any) -> None:
    run = make_run()
    run.results["data"].update(description="unknown", licence="unknown")
    told = model_card(run.results)
    assert "split by litevision, each class on its own. Licence: unknown." in told
    del run.results["data"]["description"], run.results["data"]["licence"]
    assert model_card(run.results) == told


def test_names_cannot_break_out_of_their_places(make_run: Any) -> None:
    evil = "<script>a|b</script> `x` [c](d)\n# title"
    run = make_run(classes=("hat", evil, "caf\udce9"), name=evil)
    card = model_card(run.results)
    assert "<script>" not in card
    assert r"&lt;script&gt;a\|b&lt;/script&gt; \`x\` \[c\](d) \# title" in card
    assert len(re.findall("^# ", card, re.MULTILINE)) == 1
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in text_of(card, "Score").splitlines() if line[:1] == "|"] == [
        6
    ] * 5
    card.encode("utf-8")


@pytest.mark.parametrize("crop", ["center", "stretch", "letterbox"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_its_program_answers_as_litevision_does(make_run: Any, tmp_path: Path, crop: str, orientation: int) -> None:
    preprocess = {"size_hw": [12, 16], "resize_px": 20, "crop": crop, "interpolation": "bilinear"}
    metadata = {**plain_metadata(size_hw=(12, 16)), "preprocess": preprocess}
    write_bundle(tmp_path / "model.onnx", size_hw=(12, 16), metadata=metadata)
    (tmp_path / "photo.jpg").write_bytes(stored_as(scene(45, 64), orientation, "JPEG", quality=95))
    program = code(model_card(make_run(preprocess=preprocess).results), "python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = {label: float(score) for score, label in (line.split() for line in done.stdout.splitlines())}
    expected = load(tmp_path / "model.onnx").predict(tmp_path / "photo.jpg")
    assert list(said) == [it.label for it in expected]
    for it in expected:
        assert said[it.label] == pytest.approx(it.score, abs=0.01)


def test_its_input_is_described_as_the_bundle_has_it(make_run: Any) -> None:
    preprocess = {"size_hw": [224, 224], "resize_px": 256, "crop": "center", "interpolation": "bilinear"}
    said = text_of(model_card(make_run(preprocess=preprocess).results), "Input")
    assert "uint8, N x 224 x 224 x 3, RGB" in said
    assert "resized to a shorter side of 256 px, then cropped in the middle (bilinear)" in said
    assert "stands in the file, under `litevision`" in text_of(model_card(make_run().results), "Input")
