"""litevision detect: its answers, its files, its faults."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bundles import write_bundle
from detectors import BLUE, RED, image, write_detector
from images import encoded, stored_as
from litevision import __version__
from litevision.errors import DownloadError
from litevision.exporting.cached import kept_at
from litevision.files import sha256_of
from litevision.image.font_files import FOLDER
from litevision.weights.weight_cache import digest_of, record_digest

Run = Callable[..., tuple[int, str, str]]

ORT = ("--engine", "onnxruntime")
RED_BOX, BLUE_BOX = [16, 8, 48, 40], [60, 30, 90, 58]
BOTH = image((64, 96), ((16, 8, 48, 40), RED), ((60, 30, 90, 58), BLUE))


@pytest.fixture
def detect(tmp_path: Path, litevision: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in a folder with a bundle, images with both boxes, one or none, and a broken one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("LITEVISION_OFFLINE", "1")
    write_detector(Path("colours.onnx"), size_hw=(64, 96))
    Path("shots/deep").mkdir(parents=True)
    Path("shots/both.png").write_bytes(encoded(BOTH))
    Path("shots/deep/both.jpg").write_bytes(encoded(BOTH, "JPEG", quality=100, subsampling=0))
    Path("none.png").write_bytes(encoded(np.zeros((64, 96, 3), np.uint8)))
    Path("bad.jpg").write_bytes(b"oops")

    def run(*arguments: str, model: str = "colours.onnx") -> tuple[int, str, str]:
        return litevision("detect", *arguments, "--model", model)

    return run


def marked(path: str | Path) -> bool:
    """Whether something is drawn at the red box."""
    image = np.asarray(Image.open(path))
    assert image.shape == BOTH.shape
    return bool(np.abs(image[8:40, 16:48].astype(int) - RED).max() > 100)


EVERYDAY = "nanodet_plus_m.rangilyu_coco_r416"


def test_without_a_model_and_a_network_the_one_that_comes_along_answers(detect: Run, litevision: Run) -> None:
    code, out, err = litevision("detect", "none.png", *ORT)
    assert code == 0
    assert out.splitlines()[-1].split() == ["none.png", "-"]
    missing, model = err.splitlines()
    assert missing.startswith(f"{EVERYDAY} is not there (cannot download https://github.com/RangiLyu/nanodet/releases/")
    assert missing.endswith("; blood-cells answers in its place")
    assert model.startswith(
        "model: blood-cells (nanodet_plus_m, 3 classes: Platelets, RBC, WBC; it comes with litevision)"
    )


def test_without_a_model_the_published_one_in_the_cache_answers(detect: Run, litevision: Run) -> None:
    cached = kept_at(EVERYDAY)
    cached.parent.mkdir(parents=True)
    Path("colours.onnx").rename(cached)
    record_digest(cached, digest_of(cached, "sha256"))
    code, out, err = litevision("detect", "shots/both.png", *ORT)
    assert code == 0
    assert "shots/both.png  1 red, 1 blue" in out
    assert err.startswith(f"model: {EVERYDAY} (")
    assert "it comes with" not in err


def test_what_could_not_be_fetched_is_not_asked_for_again_at_once(
    detect: Run, litevision: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LITEVISION_OFFLINE")
    asked = []

    def transfer(url: str, *_: object, **__: object) -> None:
        asked.append(url)
        raise DownloadError("no network in tests")

    monkeypatch.setattr("litevision.weights.download.transfer", transfer)
    for _ in range(2):
        code, _, err = litevision("detect", "none.png", *ORT)
        assert code == 0
        assert "no network in tests" in err.splitlines()[-2]
        assert err.splitlines()[-2].endswith("blood-cells answers in its place")
    assert len(asked) == 1


def test_table(detect: Run) -> None:
    code, out, err = detect("shots/both.png", "none.png")
    assert (code, out) == (
        0,
        "path            label   score      x1      y1      x2      y2\n"
        "shots/both.png  red    0.9000    16.0     8.0    48.0    40.0\n"
        "shots/both.png  blue   0.6000    60.0    30.0    90.0    58.0\n"
        "shots/both.png  1 red, 1 blue\n"
        "none.png        -\n",
    )
    assert re.fullmatch(r"2 images in \d+\.\d s, .* a second, no errors, onnxruntime fp32\nfound 1 red, 1 blue\n", err)


def test_a_table_of_many_is_as_aligned_as_one_of_few(detect: Run) -> None:
    _, few, _ = detect("shots/both.png", "none.png")
    code, many, _ = detect(*["shots/both.png", "none.png"] * 5, *ORT)
    header, *rows = few.splitlines()
    assert (code, many.splitlines()) == (0, [header, *rows * 5])


def test_json(detect: Run) -> None:
    code, out, _ = detect("shots/both.png", "bad.jpg", "none.png", "--json")
    document = json.loads(out)
    assert (code, document["model"]) == (1, "colours.onnx")
    both, bad, none = document["results"]
    assert both.pop("ms") > 0
    assert both == {
        "path": "shots/both.png",
        "detections": [
            {"label": "red", "score": pytest.approx(0.9), "index": 0, "box_xyxy": RED_BOX},
            {"label": "blue", "score": pytest.approx(0.6), "index": 1, "box_xyxy": BLUE_BOX},
        ],
        "counts": {"red": 1, "blue": 1},
        "image_hw": [64, 96],
    }
    assert document["counts"] == {"red": 1, "blue": 1}
    assert document["litevision"] == __version__
    assert document["bundle"] == {
        "sha256": sha256_of(Path("colours.onnx")),
        "engine": "onnxruntime",
        "precision": "fp32",
        "device": "cpu",
        "classes": 2,
    }
    assert bad["error"].startswith("bad.jpg: not an image")
    assert none["detections"] == []


def test_json_lines_of_many(detect: Run) -> None:
    given = [("shots/both.png", "none.png")[i % 3 == 0] for i in range(30)]
    _, out, _ = detect(*given, "--jsonl", "--workers", "3", "--batch", "4", *ORT)
    found = [json.loads(line) for line in out.splitlines()]
    assert [it["path"] for it in found] == given
    assert [len(it["detections"]) for it in found] == [0 if path == "none.png" else 2 for path in given]


def test_csv(detect: Run) -> None:
    code, out, err = detect("shots/both.png", "none.png", "bad.jpg", "--csv", "out.csv")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "wrote out.csv: 2 images"
    with Path("out.csv").open(newline="") as file:
        header, first, second, none, bad = csv.reader(file)
    assert header == ["path", "label", "index", "score", "x1", "y1", "x2", "y2", "ms", "width", "height", "error"]
    assert first[:3] == ["shots/both.png", "red", "0"]
    assert [float(it) for it in first[4:8]] == RED_BOX
    assert second[1:3] == ["blue", "1"]
    assert first[9:] == ["96", "64", ""]
    # Nothing found and not readable are told apart, and from what was never looked at.
    assert (none[:8], none[9:]) == (["none.png", *[""] * 7], ["96", "64", ""])
    assert bad[:11] == ["bad.jpg", *[""] * 10]
    assert bad[11].startswith("bad.jpg: not an image")


@pytest.mark.parametrize(("score", "labels"), [("0.95", []), ("0.7", ["red"]), ("0", ["red", "blue"])])
def test_score(detect: Run, score: str, labels: list[str]) -> None:
    _, out, _ = detect("shots/both.png", "--json", "--score", score)
    assert [it["label"] for it in json.loads(out)["results"][0]["detections"]] == labels


def test_the_bundle_s_own_scores(detect: Run) -> None:
    write_detector(Path("own.onnx"), size_hw=(64, 96), score_thresholds=[0.95, 0.5])
    _, out, _ = detect("shots/both.png", "--json", model="own.onnx")
    assert [it["label"] for it in json.loads(out)["results"][0]["detections"]] == ["blue"]


def test_tiles(detect: Run) -> None:
    Path("dots.png").write_bytes(encoded(image((960, 1440), ((105, 200, 120, 212), RED))))
    assert json.loads(detect("dots.png", "--json")[1])["results"][0]["detections"] == []
    (found,) = json.loads(detect("dots.png", "--json", "--tiles", "6")[1])["results"][0]["detections"]
    np.testing.assert_allclose(found["box_xyxy"], (105, 200, 120, 212), atol=4)
    code, out, _ = detect(*["dots.png"] * 6, "--jsonl", "--tiles", "6", *ORT)
    assert (code, [len(json.loads(line)["detections"]) for line in out.splitlines()]) == (0, [1] * 6)


def test_coco_results(detect: Run) -> None:
    Path("000000000139.png").write_bytes(encoded(BOTH))
    code, _, err = detect("000000000139.png", "shots/both.png", "none.png", "--coco", "out.json")
    assert (code, err.splitlines()[-1]) == (0, "wrote out.json: 3 images")
    results = json.loads(Path("out.json").read_text())
    assert [(it["image_id"], it["category_id"], it["category"]) for it in results] == [
        (139, 1, "red"),
        (139, 2, "blue"),
        ("shots/both.png", 1, "red"),
        ("shots/both.png", 2, "blue"),
    ]
    assert results[0]["bbox"] == [16, 8, 32, 32]
    assert results[0]["score"] == pytest.approx(0.9)
    assert results[2]["file_name"] == "shots/both.png"


def test_coco_results_of_nothing_are_an_empty_list(detect: Run) -> None:
    assert detect("none.png", "--coco", "out.json")[0] == 0
    assert json.loads(Path("out.json").read_text()) == []


def test_save(detect: Run) -> None:
    code, _, err = detect("shots", "--recursive", "--save", "out/drawn")
    assert (code, err.splitlines()[-1]) == (0, "wrote out/drawn: 2 images")
    saved = sorted(str(path) for path in Path("out").rglob("*") if path.is_file())
    assert saved == ["out/drawn/both.png", "out/drawn/deep/both.jpg"]
    assert all(map(marked, saved))
    assert not marked("shots/both.png")


def test_saving_changes_no_answer(detect: Run) -> None:
    large = image((1000, 1500), ((123, 77, 456, 333), RED), ((801, 604, 1311, 918), BLUE))
    Path("large.jpg").write_bytes(encoded(large, "JPEG"))
    Path("anim.gif").write_bytes(encoded(BOTH, "GIF", save_all=True, append_images=[Image.fromarray(BOTH[::-1])]))
    given = ("large.jpg", "shots/both.png", "anim.gif", "--frames", "--json")
    plain, saved = (json.loads(detect(*given, *more)[1])["results"] for more in ((), ("--save", "out")))
    assert [it["detections"] for it in saved] == [it["detections"] for it in plain]
    assert len(plain) == 4


def test_images_of_many_folders_and_kinds(detect: Run) -> None:
    Path("a/x.webp").parent.mkdir()
    for name in ("a/x.webp", "a/y.bmp", "x.png"):
        Path(name).write_bytes(encoded(BOTH, {".webp": "WEBP", ".bmp": "BMP", ".png": "PNG"}[Path(name).suffix]))
    assert detect("a", "x.png", "bad.jpg", "shots/d*/*.jpg", "--save", "out", *ORT)[0] == 1
    saved = sorted(str(path) for path in Path("out").rglob("*") if path.is_file())
    assert saved == ["out/a/x.webp.png", "out/a/y.bmp.png", "out/shots/deep/both.jpg", "out/x.png"]
    assert all(map(marked, saved))


def test_a_turned_photo_is_saved_upright(detect: Run) -> None:
    Path("turned.jpg").write_bytes(stored_as(BOTH, 6, "JPEG", quality=95))
    assert detect("turned.jpg", "--save", "out")[0] == 0
    assert marked("out/turned.jpg")
    with Image.open("out/turned.jpg") as saved:
        assert saved.getexif() == {}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            ("--save", "none.png"),
            "error: --save none.png: a PNG image; expected a folder, to write into. Put the folder's name behind the "
            "option.\n",
        ),
        (("--coco", "no/out.json"), "error: --coco no/out.json: not a file that can be written."),
        (("--csv", "no/out.csv"), "error: --csv no/out.csv: not a file that can be written."),
        (("--json", "--jsonl"), "error: --json and --jsonl each need standard output"),
    ],
)
def test_what_cannot_be_written_is_refused_first(detect: Run, option: tuple[str, ...], message: str) -> None:
    code, out, err = detect("shots/both.png", *option)
    assert (code, out) == (1, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_a_bundle_for_another_task_is_one_line(detect: Run) -> None:
    write_bundle(Path("namer.onnx"))
    assert detect("none.png", model="namer.onnx") == (
        1,
        "",
        "error: namer.onnx: a bundle for classification; expected one for detection. "
        "Use litevision.load_classifier, or 'litevision classify'.\n",
    )


def test_classify_refuses_a_detector(detect: Run, litevision: Run) -> None:
    assert litevision("classify", "none.png", "--model", "colours.onnx") == (
        1,
        "",
        "error: colours.onnx: a bundle for detection; expected one for classification. "
        "Use litevision.load_detector, or 'litevision detect'.\n",
    )


def test_one_bad_image_is_one_line(detect: Run) -> None:
    code, out, err = detect("bad.jpg", "--save", "out", "--coco", "out.json")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("error: bad.jpg: not an image that can be read")
    assert not Path("out.json").exists()


@pytest.mark.parametrize("wrong", [("--score", "1.5"), ("--score", "-1"), ("--tiles", "0"), ("--tiles", "9")])
def test_a_number_out_of_range_is_a_usage_error(detect: Run, wrong: tuple[str, str]) -> None:
    code, out, err = detect("none.png", *wrong)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {wrong[0]}: expected ")


@pytest.mark.parametrize("labels", [("血小板", "Größe"), ("תא", "🔬"), ("[/b]", "\x1b[31mred")])
def test_names_in_any_script_are_drawn_and_a_font_may_be_given(detect: Run, labels: tuple[str, str]) -> None:
    write_detector(Path("named.onnx"), size_hw=(64, 96), labels=labels)
    assert detect("shots/both.png", "--save", "out", *ORT, model="named.onnx")[::2] == (0, "wrote out: 1 image\n")
    own = FOLDER / "Unifont.otf"
    code, _, err = detect("shots/both.png", "--save", "own", "--font", str(own), *ORT, model="named.onnx")
    assert (code, err) == (0, "wrote own: 1 image\n")
    assert Path("out/both.png").read_bytes() != Path("own/both.png").read_bytes()


def test_a_name_that_no_font_can_draw_is_said_to_stand_by_its_number(detect: Run) -> None:
    write_detector(Path("named.onnx"), size_hw=(64, 96), labels=("\U00020000", "blue"))
    code, out, err = detect("shots/both.png", "--save", "out", *ORT, model="named.onnx")
    assert code == 0
    assert "\U00020000" in out
    assert err.splitlines()[0] == (
        "note: no font has all letters of '\\U00020000': drawn by number. Give a font that has them with --font FILE."
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--save", "out", "--font", "none.ttf"), "error: none.ttf: no such file. Give a font, a .ttf, .otf or .ttc"),
        (("--save", "out", "--font", "bad.jpg"), "error: bad.jpg: cannot be used as a font ("),
        (("--font", "x.ttf"), "error: --font FILE is for the labels on saved images; give --save FOLDER with it."),
    ],
)
def test_a_font_that_cannot_be_used_is_one_line(detect: Run, option: tuple[str, ...], message: str) -> None:
    code, out, err = detect("shots/both.png", *option, *ORT)
    assert code != 0
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1
