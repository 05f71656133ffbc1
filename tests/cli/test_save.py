"""litevision detect: what it saves of each image, and that it destroys nothing by it."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from clips import write_clip
from detectors import BLUE, RED, image, write_detector
from images import encoded, stored_as
from litevision.cli.output_names import OutputNames
from litevision.cli.save_images import Saver
from litevision.data import check_data, read_boxes
from litevision.runtime.results import PreprocessedImage

Run = Callable[..., tuple[int, str, str]]

BOTH = image((64, 96), ((16, 8, 48, 40), RED), ((60, 30, 90, 58), BLUE))
NONE = np.zeros((64, 96, 3), np.uint8)
FRAME_COLOUR = 100  # how far a drawn box is from what was there


@pytest.fixture
def detect(tmp_path: Path, litevision: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in a folder with a bundle and images with both boxes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / ".cache"))
    write_detector(Path("colours.onnx"), size_hw=(64, 96))
    Path("shots/deep").mkdir(parents=True)
    Path("shots/both.png").write_bytes(encoded(BOTH))
    Path("shots/deep/both.jpg").write_bytes(encoded(BOTH, "JPEG", quality=100, subsampling=0))
    Path("none.png").write_bytes(encoded(NONE))

    def run(*arguments: str) -> tuple[int, str, str]:
        return litevision("detect", *arguments, "--model", "colours.onnx", "--engine", "onnxruntime")

    return run


def marked(pixels: Any) -> bool:
    """Whether something is drawn at the red box."""
    found = np.asarray(pixels if not isinstance(pixels, (str, Path)) else Image.open(pixels).convert("RGB"))
    return bool(np.abs(found[8:40, 16:48].astype(int) - RED).max() > FRAME_COLOUR)


def files_in(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def test_a_second_run_replaces_its_drawings_and_nothing_else(detect: Run) -> None:
    Path("out").mkdir()
    theirs = encoded(NONE)
    Path("out/both.png").write_bytes(theirs)
    for _ in range(2):
        assert detect("shots", "--recursive", "--save", "out")[0] == 0
        assert files_in("out") == ["both-2.png", "both.png", "deep/both.jpg"]
    assert Path("out/both.png").read_bytes() == theirs
    assert marked("out/both-2.png")


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_drawing_goes_through_no_link(detect: Run, link: Callable[[str, str], None]) -> None:
    Path("out").mkdir()
    theirs = encoded(NONE)
    Path("theirs.png").write_bytes(theirs)
    link("../theirs.png" if link is os.symlink else "theirs.png", "out/both.png")
    assert detect("shots/both.png", "--save", "out")[0] == 0
    assert Path("theirs.png").read_bytes() == theirs
    assert files_in("out") == ["both-2.png", "both.png"]


def test_no_input_of_the_run_is_replaced(detect: Run) -> None:
    """Neither an image's own file nor that of another one with its name, which cameras give to many."""
    before = {name: Path("shots", name).read_bytes() for name in files_in("shots")}
    Path("shots/deep/both.png").write_bytes(encoded(BOTH))
    for given in (("shots", "--save", "shots"), ("shots", "--recursive", "--save", "shots/deep")):
        code, out, err = detect(*given)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "would be overwritten. Give a folder without inputs." in err
    # Earlier drawings that are inputs now are no exception.
    assert detect("shots/both.png", "--save", "drawn")[0] == 0
    assert detect("drawn", "--save", "drawn")[0] == 1
    assert {name: Path("shots", name).read_bytes() for name in before} == before


def test_an_input_that_comes_later_is_kept(
    detect: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert detect("shots/both.png", "--save", ".")[0] == 0
    drawn = Path("both.png").read_bytes()
    with Path("list.txt").open("w+") as file:
        file.write("shots/both.png\nboth.png\n")
        file.seek(0)
        monkeypatch.setattr("sys.stdin", file)
        monkeypatch.chdir("shots")  # so that names are shared from here
        monkeypatch.chdir("..")
        assert detect("-", "--save", ".")[0] == 0
    assert Path("both.png").read_bytes() == drawn


def test_two_images_of_one_name_are_two_files(detect: Run) -> None:
    Path("x.bmp").write_bytes(encoded(BOTH, "BMP"))
    Path("x.bmp.png").write_bytes(encoded(BOTH))
    for _ in range(2):
        assert detect("x.bmp", "x.bmp.png", "--save", "out")[0] == 0
        assert files_in("out") == ["x.bmp-2.png", "x.bmp.png"] or files_in("out") == ["x.bmp.png", "x.bmp.png-2"]


def test_an_image_is_read_once(detect: Run) -> None:
    os.mkfifo("pipe.png")
    writer = threading.Thread(target=lambda: Path("pipe.png").write_bytes(encoded(BOTH)))
    writer.start()
    options = ("--save", "out", "--save-crops", "crops", "--save-labels", "labels")
    code, out, _ = detect("pipe.png", "--json", *options)
    writer.join()
    assert (code, len(json.loads(out)["results"][0]["detections"])) == (0, 2)
    assert marked("out/pipe.png")


def test_a_turned_image_is_labelled_upright(detect: Run) -> None:
    Path("turned.jpg").write_bytes(stored_as(BOTH, 6, "JPEG", quality=95))
    assert detect("turned.jpg", "none.png", "--save-labels", "data")[0] == 0
    read = read_boxes("data")
    by_name = {it.path.name: it for it in read.samples}
    assert by_name["turned.jpg"].size_hw == (64, 96)
    np.testing.assert_allclose(
        sorted(by_name["turned.jpg"].boxes_xyxy.tolist()), [[16, 8, 48, 40], [60, 30, 90, 58]], atol=1
    )


@pytest.mark.parametrize("form", ["yolo", "voc", "coco"])
def test_labels_are_a_data_set(detect: Run, form: str) -> None:
    Path("shots/both.webp").write_bytes(encoded(np.roll(BOTH, 8, axis=1), "WEBP", lossless=True))
    Path("other").write_bytes(encoded(np.roll(BOTH, -8, axis=1)))
    given = ("shots", "--recursive", "none.png", "other", "--save-labels", "data", "--labels-format", form)
    assert detect(*given)[0] == 0
    report = check_data("data")
    assert report.ok, report.text()
    read = read_boxes("data")
    names = {
        it.path.relative_to(Path("data").resolve() if it.path.is_absolute() else "data").as_posix(): it
        for it in read.samples
    }
    assert len(names) == 5 - sum(it.rule == "duplicate" for it in report.issues)
    assert {len(it.boxes_xyxy) for it in read.samples} == {0, 2}
    code, _, err = detect(*given)
    assert (code, err) == (
        1,
        "error: --save-labels data: not empty, and labels there may have been corrected by hand. Give a new folder.\n",
    )


def test_crops_are_sorted_by_class(detect: Run) -> None:
    for _ in range(2):
        assert detect("shots", "--recursive", "--save-crops", "crops")[0] == 0
        assert files_in("crops") == ["blue/both-2.png", "blue/deep_both-2.png", "red/both-1.png", "red/deep_both-1.png"]
    with Image.open("crops/red/both-1.png") as crop:
        assert crop.size == (32, 32)
        assert np.abs(np.asarray(crop.convert("RGB")).astype(int) - RED).max() == 0


def test_classes_and_max(detect: Run) -> None:
    def labels(*options: str) -> list[str]:
        return [
            it["label"]
            for it in json.loads(detect("shots/both.png", "--json", *options)[1])["results"][0]["detections"]
        ]

    assert labels("--classes", "blue") == labels("--classes", "1") == ["blue"]
    assert labels("--classes", "blue,0") == labels("--classes", "red", "--classes", "blue") == ["red", "blue"]
    assert labels("--max", "1") == ["red"]
    code, _, err = detect("shots/both.png", "--classes", "rde")
    assert (code, err) == (1, "error: no class 'rde'. Did you mean 'red'? Known: red, blue.\n")


@pytest.mark.parametrize(("every", "times_s"), [("1", [0, 1, 2]), ("0.5", [0, 0.5, 1, 1.5, 2]), ("0", None)])
def test_a_clip_is_saved_as_a_clip(detect: Run, every: str, times_s: list[float] | None) -> None:
    write_clip(Path("clip.mp4"), [BOTH] * 25, rate=10)
    for _ in range(2):  # the second run replaces what the first one drew
        code, out, _ = detect("clip.mp4", "--jsonl", "--every", every, "--save", "out")
    times_s = [number / 10 for number in range(25)] if times_s is None else times_s
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, [it["time_s"] for it in lines]) == (0, times_s)
    assert {it["file"] for it in lines} == {"clip.mp4"}
    assert files_in("out") == ["clip.mp4"]
    with av.open("out/clip.mp4") as clip:
        frames = [(it.time, it.to_ndarray(format="rgb24")) for it in clip.decode(video=0)]
    assert [time for time, _ in frames] == pytest.approx(times_s, abs=1e-3)
    assert all(marked(pixels) for _, pixels in frames)


def test_a_clip_of_odd_sides_and_other_container(detect: Run) -> None:
    write_clip(Path("clip.mkv"), [BOTH] * 3, rate=1)
    assert detect("clip.mkv", "shots/both.png", "clip.mkv", "--save", "out")[0] == 0
    assert files_in("out") == ["clip.mkv-2.mp4", "clip.mkv.mp4", "shots/both.png"] or "clip.mkv.mp4" in files_in("out")
    with av.open("out/clip.mkv.mp4") as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 3


def test_a_clip_that_is_not_finished_leaves_nothing(detect: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(Path("clip.mp4"), [BOTH] * 5, rate=1)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("litevision.cli.save_clips._Video._encode", fail)
    code, _, err = detect("clip.mp4", "--save", "out")
    assert (code, files_in("out")) == (1, [])
    assert "the results cannot be written (No space left on device)" in err


@pytest.mark.parametrize(("name", "kind"), [("anim.gif", "GIF"), ("anim.png", "PNG"), ("anim.webp", "WEBP")])
def test_an_animation_is_saved_as_an_animation(detect: Run, name: str, kind: str) -> None:
    frames = [Image.fromarray(BOTH), Image.fromarray(NONE), Image.fromarray(BOTH)]
    options = {"lossless": True} if kind == "WEBP" else {}
    Path(name).write_bytes(
        encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=[100, 250, 300], **options)
    )
    for _ in range(2):
        assert detect(name, "--frames", "--save", "out")[0] == 0
        assert files_in("out") == [name]
    with Image.open(Path("out", name)) as saved:
        found = []
        for index in range(saved.n_frames):
            saved.seek(index)
            saved.load()
            found.append((marked(saved.convert("RGB")), round(saved.info["duration"])))
    assert [duration for _, duration in found] == [100, 250, 300]
    assert found[0][0]
    assert found[2][0]
    still = Path("still.png")
    still.write_bytes(encoded(BOTH))
    assert detect("still.png", "--frames", "--save", "out")[0] == 0
    assert marked("out/still.png")


@pytest.mark.parametrize(
    ("inputs", "name", "frame", "expected"),
    [
        (["pics"], "pics/a.jpg", False, "a.jpg"),
        (["pics", "-"], "pics/a.jpg", False, "pics/a.jpg"),
        (["-"], "/elsewhere/a.JPG", False, "elsewhere/a.JPG"),
        (["-"], "../../../../../../../../../a.jpg", False, "a.jpg"),
        (["pics/*/*.png"], "pics/b/c.png", False, "b/c.png"),
        (["webcam:0"], "webcam:0#t=12.500", True, "webcam:0-00012.500.jpg"),
        (["pics/a.jpg"], "pics/a#t=1.000", False, "a#t=1.000.png"),
        (["pics/x.gif"], "pics/x.gif#frame=3", True, "x.gif-00003.jpg"),
        (["pics"], f"pics/{250 * 'a'}.jpg", False, f"{236 * 'a'}.jpg"),
    ],
)
def test_where_an_image_is_saved(detect: Run, inputs: list[str], name: str, frame: bool, expected: str) -> None:
    Path("pics").mkdir()
    source: Any = PreprocessedImage(name, None) if frame else name
    assert Saver(OutputNames(Path("out"), "--save", inputs), None).path_of(source) == Path(expected)


def test_coco_results_with_the_ids_of_a_file(detect: Run) -> None:
    truth = {
        "images": [{"id": 41, "file_name": "deep/both.jpg"}, {"id": 7, "file_name": "other/both.png"}],
        "categories": [{"id": 0, "name": "things"}, {"id": 3, "name": "Red"}],
        "annotations": [],
    }
    Path("truth.json").write_text(json.dumps(truth))
    given = ("shots/deep/both.jpg", "none.png", "shots/both.png", "--coco", "out.json")
    code, _, err = detect(*given, "--coco-ids", "truth.json")
    results = json.loads(Path("out.json").read_text())
    assert code == 0
    assert [(it["image_id"], it["category_id"], it["category"]) for it in results] == [(41, 3, "red"), (7, 3, "red")]
    assert "1 image is left out, which truth.json does not name\n" in err
    assert "boxes of classes that truth.json does not name are left out: 2 blue\n" in err
    truth["categories"] = [{"id": 1, "name": "cat"}]
    Path("truth.json").write_text(json.dumps(truth))
    code, _, err = detect(*given, "--coco-ids", "truth.json")
    assert (code, err) == (
        1,
        "error: truth.json: names the classes cat; expected some of the model's: red, blue.\n",
    )
    assert detect(*given[:3], "--coco-ids", "truth.json")[2].startswith("error: --coco-ids FILE.json is for the ids in")


def test_ids_of_coco_results_are_unique(detect: Run) -> None:
    for name in ("a/1.png", "b/1.png"):
        Path(name).parent.mkdir()
        Path(name).write_bytes(encoded(BOTH))
    frames = [Image.fromarray(BOTH), Image.fromarray(np.roll(BOTH, 2, axis=0))]
    Path("123.gif").write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    _, _, err = detect("a", "b", "123.gif", "--frames", "--coco", "out.json", "--max", "1")
    ids = [it["image_id"] for it in json.loads(Path("out.json").read_text())]
    assert ids == [1, "b/1.png", "123.gif#frame=0", "123.gif#frame=1"]
    assert "1 image of a number that another file has: their image_id is their path\n" in err


def test_coco_results_score_as_evaluate_does(shared: Path, detect: Run, litevision: Run) -> None:
    """Of photographs of blood, with ids that count categories from 0, as Roboflow's exports do."""
    coco = pytest.importorskip("faster_coco_eval")
    photographs = sorted((shared / "data/bccd/JPEGImages").glob("*.jpg"))[:6]
    read = read_boxes(shared / "data/bccd")
    by_name = {it.path.name: it for it in read.samples}
    images, annotations = [], []
    Path("data").mkdir()
    for number, path in enumerate(photographs, start=100):
        sample = by_name[path.name]
        Path("data", path.name).write_bytes(path.read_bytes())
        height, width = sample.size_hw
        images.append({"id": number, "file_name": path.name, "height": height, "width": width})
        for label, (x1, y1, x2, y2) in zip(sample.labels, sample.boxes_xyxy.tolist(), strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            row = {"image_id": number, "category_id": int(label), "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, **row})
    categories = [{"id": index, "name": name} for index, name in enumerate(read.classes)]
    Path("data/truth.json").write_text(
        json.dumps({"images": images, "categories": categories, "annotations": annotations})
    )
    given = ("detect", "data", "--model", "blood-cells", "--engine", "onnxruntime", "--score", "0")
    assert litevision(*given, "--coco", "found.json", "--coco-ids", "data/truth.json")[0] == 0
    truth = coco.COCO("data/truth.json", print_function=lambda *_: None)
    run = coco.COCOeval_faster(truth, truth.loadRes("found.json"), "bbox", print_function=lambda *_: None)
    run.evaluate()
    run.accumulate()
    run.summarize()
    code, out, _ = litevision("evaluate", "blood-cells", "data", "--split", "all", "--json", "-")
    assert code == 0
    assert run.stats[0] == pytest.approx(json.loads(out)["scores"]["ap"], abs=1e-6)
    assert run.stats[0] > 0.4
