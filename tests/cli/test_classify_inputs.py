"""litevision classify: what it takes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clips import RED_AND_BLUE, write_clip
from images import encoded

Run = Callable[..., tuple[int, str, str]]
Start = Callable[..., Any]

ORT = ("--engine", "onnxruntime")
RED, BLUE = "red.png", "more/blue.png"


def answers(out: str) -> list[tuple[str, str]]:
    """Path and best label of each JSON line; "error" where there is one."""
    lines = [json.loads(line) for line in out.splitlines()]
    return [(line["path"], "error" if "error" in line else line["predictions"][0]["label"]) for line in lines]


def colour(red: int, blue: int) -> np.ndarray:
    return np.full((48, 64, 3), (red, 0, blue), np.uint8)


def test_a_list_on_standard_input(classify_beside: Start) -> None:
    given = [RED, BLUE, "", "none.png", "bad.jpg", *[RED, BLUE] * 9]
    process = classify_beside("-", "--jsonl")
    out, err = process.communicate("\n".join(given))
    assert process.returncode == 1
    expected = {RED: "red", BLUE: "blue", "none.png": "error", "bad.jpg": "error"}
    assert answers(out) == [(path, expected[path]) for path in given if path]
    assert "22 images in" in err
    assert "2 could not be read, onnxruntime fp32" in err


def test_a_list_has_plain_columns(classify_beside: Start) -> None:
    out, _ = classify_beside("-", "--top", "1").communicate(f"{RED}\n{BLUE}\n")
    assert out.splitlines() == [
        "path  rank  label   score",
        "red.png     1  red    0.9999",
        "more/blue.png     1  blue   0.9999",
    ]


def test_each_line_is_answered_when_it_comes(classify_beside: Start) -> None:
    with classify_beside("-", "--jsonl") as process:
        for path, label in [(RED, "red"), (BLUE, "blue"), ("none.png", "error"), (RED, "red")]:
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            assert answers(process.stdout.readline()) == [(path, label)]
        out, _ = process.communicate()
    assert (out, process.returncode) == ("", 1)


def test_odd_lines(classify_beside: Start) -> None:
    Path("a b é.png").write_bytes(Path(RED).read_bytes())
    process = classify_beside("-", "more", "--jsonl", text=False)
    out, err = process.communicate(
        b"a b \xc3\xa9.png\r\nx\0y\n./red.png\nmore\n\xff.png\n" + b"x" * 200_000 + b"\nred.png\n"
    )
    assert answers(out.decode()) == [
        ("a b é.png", "red"),
        ("x\0y", "error"),
        (RED, "red"),
        (BLUE, "blue"),
        ("\udcff.png", "error"),
        ("-", "error"),
        (BLUE, "blue"),
    ]
    assert b"error: 'x\\x00y': no path (embedded null byte). Check it.\n" in err
    assert b"error: standard input: a line of over 65536 bytes; expected paths, one a line.\n" in err


@pytest.mark.parametrize("option", ["--json", "--jsonl", "--strict"])
def test_an_empty_list(classify_beside: Start, option: str) -> None:
    process = classify_beside("-", option)
    out = process.communicate("")[0]
    assert process.returncode == 0
    assert (json.loads(out)["results"] if option == "--json" else out) in ([], "")


def test_patterns(classify: Run) -> None:
    code, out, _ = classify("more/**/*.png", "r?d.png", "*.jpg", "--jsonl", "--engine", "onnxruntime")
    assert code == 1
    assert answers(out) == [(BLUE, "blue"), ("more/deep/red.png", "red"), (RED, "red"), ("bad.jpg", "error")]


def test_a_pattern_without_matches(classify: Run) -> None:
    assert classify("more/*.webp")[2] == (
        "error: more/*.webp: no file has such a name. Check the pattern; '**' stands for any folders.\n"
    )


def test_a_name_that_looks_like_a_pattern(classify: Run) -> None:
    Path("a[1].png").write_bytes(Path(RED).read_bytes())
    assert answers(classify("a[1].png", "--jsonl")[1]) == [("a[1].png", "red")]


def test_animations(classify: Run) -> None:
    first, *others = (Image.fromarray(image) for image in (colour(255, 0), colour(0, 255), colour(255, 0)))
    Path("anim.gif").write_bytes(encoded(first, "GIF", save_all=True, append_images=others))
    Path("anim.webp").write_bytes(encoded(first, "WEBP", save_all=True, append_images=others, lossless=True))
    given = ("anim.gif", "anim.webp", RED, "none.gif", "--jsonl", "--engine", "onnxruntime")
    code, out, _ = classify(*given)
    assert code == 1
    assert answers(out) == [("anim.gif", "red"), ("anim.webp", "red"), (RED, "red"), ("none.gif", "error")]
    still = [json.loads(line)["predictions"] for line in out.splitlines()[:2]]
    code, out, _ = classify(*given, "--frames")
    assert code == 1
    assert answers(out) == [
        *[(f"anim.gif#frame={index}", label) for index, label in enumerate(("red", "blue", "red"))],
        *[(f"anim.webp#frame={index}", label) for index, label in enumerate(("red", "blue", "red"))],
        (RED, "red"),
        ("none.gif", "error"),
    ]
    assert [json.loads(out.splitlines()[index])["predictions"] for index in (0, 3)] == still


def test_videos(classify: Run) -> None:
    images = [colour(255, 0)] * 5 + [colour(0, 255)] * 15
    write_clip(Path("clip.mp4"), images, rate=10)
    code, out, err = classify("clip.mp4", RED, "--jsonl", "--engine", "onnxruntime")
    assert code == 0
    assert answers(out) == [("clip.mp4#t=0.000", "red"), ("clip.mp4#t=1.000", "blue"), (RED, "red")]
    assert err.startswith("3 images in")
    _, out, _ = classify("clip.mp4", "--every", "0.5", "--jsonl", "--engine", "onnxruntime")
    assert [label for _, label in answers(out)] == ["red", "blue", "blue", "blue"]
    _, out, _ = classify("clip.mp4", "--every", "0", "--jsonl", "--engine", "onnxruntime")
    assert [label for _, label in answers(out)] == ["red"] * 5 + ["blue"] * 15


def test_a_video_is_turned_upright(classify: Run) -> None:
    """The bundle looks at the middle: of what was filmed sideways, turned, the upper half is red."""
    tall = np.concatenate([RED_AND_BLUE, RED_AND_BLUE, RED_AND_BLUE])
    tall[:, :32] = (255, 0, 0)
    tall[:, 32:] = (0, 0, 255)
    write_clip(Path("clip.mov"), [tall], rotation=-90)
    _, out, _ = classify("clip.mov", "--json", "--engine", "onnxruntime")
    (result,) = json.loads(out)["results"]
    assert result["path"] == "clip.mov#t=0.000"
    assert {item["label"] for item in result["predictions"][:2]} == {"red", "blue"}


def test_videos_in_a_list_and_in_a_folder(classify_beside: Start) -> None:
    write_clip(Path("more/clip.mp4"), [colour(255, 0)] * 20, rate=10)
    out, _ = classify_beside("-", "--jsonl").communicate("more/clip.mp4\nmore\n")
    assert answers(out) == [("more/clip.mp4#t=0.000", "red"), ("more/clip.mp4#t=1.000", "red"), (BLUE, "blue")]


def test_a_broken_video_does_not_stop_the_rest(classify: Run) -> None:
    Path("clip.mp4").write_bytes(b"oops")
    code, out, err = classify("clip.mp4", RED, "--jsonl", "--engine", "onnxruntime")
    assert code == 1
    assert answers(out) == [("clip.mp4", "error"), (RED, "red")]
    assert err.startswith("error: clip.mp4: cannot be read as a video (Invalid data found")


def test_without_pyav_one_line_says_what_to_install(classify: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    Path("clip.mp4").touch()
    code, out, err = classify("clip.mp4")
    assert (code, out) == (1, "")
    assert err == (
        "error: clip.mp4: reading videos needs parts that are not installed. "
        "Install them with: pip install 'litevision[video]'\n"
    )


def test_a_camera_that_is_not_there(classify: Run) -> None:
    code, out, err = classify("webcam:99")
    assert (code, out) == (1, "")
    assert err.startswith("error: webcam:99: no camera at /dev/video99. Cameras here: ")
    assert classify("webcam:first")[2].startswith("error: webcam:first: no camera's name; expected webcam:0")


def test_an_image_on_standard_input(classify_beside: Start) -> None:
    """As from ``curl ... | litevision classify -``."""
    process = classify_beside("-", "--jsonl", text=False)
    out, _ = process.communicate(Path(RED).read_bytes())
    assert (process.returncode, answers(out.decode())) == (0, [("-", "red")])
    process = classify_beside("-", "--jsonl", text=False)
    out, err = process.communicate(Path(RED).read_bytes()[:40])
    assert (process.returncode, answers(out.decode()), err.count(b"error: ")) == (1, [("-", "error")], 1)
    assert b"error: -: " in err or b"error: image of 40 bytes: " in err


def test_a_video_on_standard_input_is_one_line(classify_beside: Start) -> None:
    clip = write_clip(Path("clip.mp4"), [colour(255, 0)] * 3)
    process = classify_beside("-", "--jsonl", text=False)
    out, err = process.communicate(clip.read_bytes())
    assert (process.returncode, answers(out.decode())) == (1, [("-", "error")])
    assert b"error: standard input: a video; expected paths, or an image. Write it to a file and name that.\n" in err


@pytest.mark.parametrize(
    "given",
    [
        b"red.png\0more/blue.png\0two\nlines.png\0",
        b"two\nlines.png\0red.png\0more/blue.png",
        b"\xef\xbb\xbfred.png\0more/blue.png\0two\nlines.png\0",
    ],
)
def test_paths_from_find_print0(classify_beside: Start, given: bytes) -> None:
    Path("two\nlines.png").write_bytes(Path(RED).read_bytes())
    process = classify_beside("-", "--jsonl", text=False)
    out, _ = process.communicate(given)
    assert sorted(answers(out.decode())) == [(BLUE, "blue"), (RED, "red"), ("two\nlines.png", "red")]
    assert process.returncode == 0


def test_a_byte_order_mark_before_a_list(classify_beside: Start) -> None:
    process = classify_beside("-", "--jsonl", text=False)
    out, _ = process.communicate(b"\xef\xbb\xbfred.png\r\nmore/blue.png\r\n")
    assert answers(out.decode()) == [(RED, "red"), (BLUE, "blue")]


def test_a_name_that_begins_as_an_image_does(classify_beside: Start) -> None:
    Path("GIF89a.png").write_bytes(Path(RED).read_bytes())
    process = classify_beside("-", "--jsonl", text=False)
    out, _ = process.communicate(b"GIF89a.png\nred.png\n")
    assert answers(out.decode()) == [("GIF89a.png", "red"), (RED, "red")]


def test_what_is_named_is_known_by_its_content(classify: Run) -> None:
    clip = write_clip(Path("clip.mp4"), [colour(255, 0)] * 12, rate=10).read_bytes()
    for name in ("clip", "clip.dat", "clip.xyz"):
        Path(name).write_bytes(clip)
    for name in ("photo", "photo.mp4", "photo.dat"):
        Path(name).write_bytes(Path(RED).read_bytes())
    code, out, _ = classify("clip", "clip.d*", "clip.xyz", "photo", "photo.mp4", "photo.d?t", "--jsonl", *ORT)
    frames = [(f"{name}#t={second}.000", "red") for name in ("clip", "clip.dat", "clip.xyz") for second in (0, 1)]
    assert (code, answers(out)) == (0, [*frames, *((name, "red") for name in ("photo", "photo.mp4", "photo.dat"))])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "an empty path; expected an image or a folder."),
        ("https://example.com/a.jpg", "https://example.com/a.jpg: an address, not a file. Download it first."),
        ("s3://bucket/a*.jpg", "s3://bucket/a*.jpg: an address, not a file. Download it first."),
        ("gs://bucket/a.mp4", "gs://bucket/a.mp4: an address, not a file. Download it first."),
        ("rtsp://camera/1", "rtsp://camera/1: an address, not a file. Download it first."),
        ("@bad.jpg", "@bad.jpg: no such file. A list of paths is read from standard input: - < bad.jpg"),
        ("@none.txt", "@none.txt: No such file or directory. Check the path."),
        ("file:///tmp/a.jpg", "file:///tmp/a.jpg: an address, not a path. Give /tmp/a.jpg instead."),
    ],
)
def test_what_is_no_path_is_one_line(classify: Run, given: str, message: str) -> None:
    assert classify(given) == (1, "", f"error: {message}\n")


def test_a_name_that_begins_with_a_dash(classify: Run) -> None:
    Path("-dash.png").write_bytes(Path(RED).read_bytes())
    _, _, err = classify("-dash.png")
    assert err == "error: no option '-dash.png'. Give ./-dash.png for the file. See litevision classify --help.\n"
    assert answers(classify("./-dash.png", "--jsonl")[1])[0][1] == "red"
