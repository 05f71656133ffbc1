"""The Open Inference Protocol: metadata, and tensors as JSON or bytes."""

import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from litevision.serving.served import ServedModel

INFER = "/v2/models/colour/infer"
TENSOR = np.random.default_rng(3).integers(0, 256, (2, 8, 8, 3), np.uint8)


def request(**changes: Any) -> dict[str, Any]:
    one = {"name": "images", "shape": [2, 8, 8, 3], "datatype": "UINT8", "data": TENSOR.ravel().tolist()}
    return {"id": "a", "inputs": [{**one, **changes}]}


def test_health_and_metadata(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/models/colour/ready").json() == {"name": "colour", "ready": True}
    found = client.get("/v2/models/boxes").json()
    assert found["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 64, 64, 3]}]
    assert [(it["name"], it["datatype"]) for it in found["outputs"]] == [
        ("boxes", "FP32"),
        ("scores", "FP32"),
        ("classes", "INT64"),
    ]


@pytest.mark.parametrize("data", [TENSOR.ravel().tolist(), TENSOR.tolist()], ids=["flat", "nested"])
def test_a_tensor_gives_what_the_graph_gives(
    client: TestClient, served: dict[str, ServedModel], data: list[Any]
) -> None:
    answer = client.post(INFER, json=request(data=data)).json()
    expected = served["colour"].predictor.bundle.run(TENSOR)["probabilities"]
    [output] = answer["outputs"]
    assert (answer["id"], answer["model_name"], output["shape"]) == ("a", "colour", [2, 3])
    assert np.array_equal(np.array(output["data"], np.float32).reshape(2, 3), expected)


def test_bytes_go_both_ways(client: TestClient, served: dict[str, ServedModel]) -> None:
    plain = request(parameters={"binary_data_size": TENSOR.size})
    del plain["inputs"][0]["data"]
    plain["outputs"] = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    head = json.dumps(plain).encode()
    answer = client.post(
        INFER, content=head + TENSOR.tobytes(), headers={"Inference-Header-Content-Length": str(len(head))}
    )
    length = int(answer.headers["inference-header-content-length"])
    [output] = json.loads(answer.content[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": len(answer.content) - length}
    expected = served["colour"].predictor.bundle.run(TENSOR)["probabilities"]
    assert answer.content[length:] == expected.tobytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"datatype": "FP32"}, "input 'images' of 'FP32'; expected 'images' of 'UINT8'"),
        ({"shape": [2, 8, 8]}, "expected [N, 8, 8, 3]"),
        ({"data": [256] * TENSOR.size}, "data has values from 256 to 256; expected 0 to 255"),
        ({"data": [0.5] * TENSOR.size}, f"data is no list of {TENSOR.size} whole numbers"),
        ({"shape": [4, 8, 8, 3]}, "4 images; expected at most 3"),
    ],
)
def test_another_tensor_is_refused(client: TestClient, changes: dict[str, Any], words: str) -> None:
    answer = client.post(INFER, json=request(**changes))
    assert answer.status_code == 400
    assert words in answer.json()["error"]
