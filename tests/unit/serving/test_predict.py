"""Images in each form of body, and the answers: those of the command line, drawn, or an error in one line."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from images import encoded
from litevision.serving.served import ServedModel, served_name

COLOUR, BOXES = "/v1/models/colour:predict", "/v1/models/boxes:predict"


def test_a_raw_body_is_answered_as_classify_answers(
    client: TestClient, served: dict[str, ServedModel], red: bytes
) -> None:
    answer = client.post(COLOUR, content=red, headers={"Content-Type": "image/jpeg"}).json()
    [row] = answer["results"]
    classifier: Any = served["colour"].predictor
    expected = classifier.predict(red).to_dict()
    assert {key: row[key] for key in expected} == expected
    assert (answer["model"], row["path"], answer["passed_over"]) == ("colour", "body", {})
    assert answer["bundle"]["classes"] == 3


def test_boxes_are_answered_as_detect_answers(
    client: TestClient, served: dict[str, ServedModel], two_boxes: bytes
) -> None:
    answer = client.post(BOXES, content=two_boxes).json()
    detector: Any = served["boxes"].predictor
    expected = detector.predict(two_boxes).to_dict()
    [row] = answer["results"]
    assert row["detections"] == expected["detections"]
    assert row["counts"] == answer["counts"] == {"red": 1, "blue": 1}


def test_a_form_brings_several_images(client: TestClient, red: bytes, two_boxes: bytes) -> None:
    files = [("a", ("C:\\shots\\one.jpg", red)), ("a", ("../two.png", two_boxes)), ("b", ("", red, "image/jpeg"))]
    rows = client.post(COLOUR, files=files).json()["results"]
    assert [row["path"] for row in rows] == ["one.jpg", "two.png", "file 3"]
    assert rows[0]["predictions"] == rows[2]["predictions"] != rows[1]["predictions"]


def test_json_brings_base64(client: TestClient, red: bytes) -> None:
    text = base64.b64encode(red).decode()
    rows = client.post(COLOUR, json={"images": [text, f"data:image/jpeg;base64,{text}"]}).json()["results"]
    assert [row["path"] for row in rows] == ["images[0]", "images[1]"]
    assert rows[0]["predictions"] == rows[1]["predictions"]


def test_what_is_no_image_among_others_is_an_error_in_its_place(client: TestClient, red: bytes) -> None:
    answer = client.post(COLOUR, files=[("f", ("good.jpg", red)), ("f", ("bad.jpg", b"hello"))])
    good, bad = answer.json()["results"]
    assert answer.status_code == 200
    assert good["predictions"]
    assert bad["error"].startswith("image of 5 bytes: not an image that can be read")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"hello", 422, "image of 5 bytes: not an image that can be read"),
        (b"", 400, "an empty body"),
        (encoded(Image.new("L", (2000, 1000))), 413, "2000 x 1000 = 2000000 pixels: more than the limit of 1000000"),
    ],
)
def test_a_wrong_image_is_the_clients_fault(client: TestClient, body: bytes, status: int, words: str) -> None:
    answer = client.post(COLOUR, content=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_several_of_which_none_is_an_image(client: TestClient) -> None:
    answer = client.post(COLOUR, files=[("f", ("a.jpg", b"a")), ("f", ("b.jpg", b"b"))])
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("none of 2 images can be read; a.jpg: image of 1 bytes:")


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        (f"{COLOUR}?top=2", ["red", "green"]),
        (f"{COLOUR}?score=0.5", ["red"]),
        (f"{BOXES}?top=1", ["red"]),
        (f"{BOXES}?score=0.7", ["red"]),
        (f"{BOXES}?score=0.95", []),
    ],
)
def test_options_narrow_the_answer(
    client: TestClient, two_boxes: bytes, red: bytes, path: str, labels: list[str]
) -> None:
    [row] = client.post(path, content=two_boxes if BOXES in path else red).json()["results"]
    assert [it["label"] for it in row.get("predictions", row.get("detections"))] == labels


@pytest.mark.parametrize("how", [{"params": {"draw": "1"}}, {"headers": {"Accept": "image/png"}}])
def test_a_drawn_answer(client: TestClient, two_boxes: bytes, how: dict[str, Any]) -> None:
    answer = client.post(BOXES, content=two_boxes, **how)
    assert answer.headers["content-type"] == "image/png"
    drawn = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert drawn.shape == (64, 64, 3)
    assert not np.array_equal(drawn, np.asarray(Image.open(io.BytesIO(two_boxes))))


def test_only_one_image_is_drawn(client: TestClient, red: bytes) -> None:
    answer = client.post(f"{BOXES}?draw=1", files=[("f", ("a", red)), ("f", ("b", red))])
    assert (answer.status_code, answer.json()) == (400, {"error": "2 images; expected one to draw on."})


def test_the_models_say_what_they_are_and_no_path(client: TestClient, served: dict[str, ServedModel]) -> None:
    listed = client.get("/v1/models").json()["models"]
    assert [it["name"] for it in listed] == ["colour", "boxes"]
    facts = client.get("/v1/models/colour")
    assert facts.json()["labels"] == ["red", "green", "blue"]
    assert str(served["colour"].predictor.bundle.path.parent) not in facts.text
    assert client.get("/v1/models/colour/card").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/models/other", 404),
        ("POST", "/v1/models/other:predict", 404),
        ("GET", COLOUR, 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/models?page=2", 400),
        ("GET", "/v1/models/", 404),
    ],
)
def test_what_does_not_exist(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path, follow_redirects=False)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("clothing", "clothing"),
        ("runs/first", "first"),
        ("runs/first/model.onnx", "first"),
        ("bundles/my model.onnx", "my-model"),
        ("fashion=runs/first", "fashion"),
    ],
)
def test_a_model_is_called_by_its_file_or_folder(asked: str, name: str) -> None:
    assert served_name(asked) == (name, asked.partition("=")[2] or asked)
