"""What a client may cost: bytes, seconds, places in the queue; and who may ask."""

import asyncio
import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from litevision.errors import UsageError
from litevision.serving.settings import Settings

PREDICT = "/v1/models/colour:predict"


def test_a_long_body_is_refused_whether_or_not_its_length_is_stated(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield bytes(50_000)

    for content in (bytes(150_000), chunks()):
        answer = client.post(PREDICT, content=content)
        assert answer.status_code == 413
        assert "a body of more than 100,000 bytes" in answer.json()["error"]
        assert answer.headers["connection"] == "close"


def test_too_many_images(client: TestClient, red: bytes) -> None:
    files = [("f", (f"{number}.jpg", red)) for number in range(4)]
    for answer in (client.post(PREDICT, files=files), client.post(PREDICT, json={"images": ["QQ=="] * 4})):
        assert answer.status_code == 400
        assert "expected at most 3 in one request" in answer.json()["error"]


async def ask(app: Any, receive: Callable[[], Any], path: str = PREDICT) -> list[dict[str, Any]]:
    """A POST whose body ``receive`` brings; gives the messages of the answer."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    return sent


def test_a_slow_body_is_cut_and_its_bytes_are_no_longer_counted(serving: Any) -> None:
    one = serving(body_s=0.05)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    start, body = asyncio.run(ask(one.app, receive))
    assert start["status"] == 408
    assert json.loads(body["body"])["error"].startswith("the body had not arrived after 0.05 s.")
    assert one.state.held.held == 0


def test_a_client_that_goes_leaves_nothing_behind(serving: Any, red: bytes) -> None:
    one = serving()
    messages = iter([{"type": "http.request", "body": red, "more_body": False}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    asyncio.run(ask(one.app, receive))
    one.batcher.close(5)
    assert (one.state.held.held, one.batcher.waiting) == (0, 0)


def test_bytes_under_way_have_a_limit(serving: Any, red: bytes) -> None:
    one = serving(max_held_bytes=len(red))
    assert one.client.post(PREDICT, content=red).status_code == 200
    assert one.client.post(PREDICT, content=red + b" ").status_code == 429
    assert one.state.held.held == 0


def test_a_full_queue_says_when_to_come_again(serving: Any, red: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    one = serving(max_queue=3, max_images=3)
    monkeypatch.setattr(one.batcher, "_waiting", 1)
    answer = one.client.post(PREDICT, files=[("f", (str(number), red)) for number in range(3)])
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert one.client.post(PREDICT, content=red).status_code == 200


def test_a_token_is_asked_for_but_not_by_probes(serving: Any, red: bytes) -> None:
    client = serving(token="secret").client
    for header in (
        {},
        {"Authorization": "Bearer secre"},
        {"Authorization": "Basic secret"},
        {"Authorization": "Bearer \xe9"},
    ):
        answer = client.post(PREDICT, content=red, headers=[(k, v.encode("latin-1")) for k, v in header.items()])
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "secret" not in answer.text
    assert client.post(PREDICT, content=red, headers={"Authorization": "bearer secret"}).status_code == 200
    assert client.get("/metrics").status_code == 401
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/v2/health/live", "/")] == [200] * 4


def test_other_origins_may_read_only_if_they_are_named(serving: Any, red: bytes) -> None:
    origin = {"Origin": "https://example.org"}
    assert "access-control-allow-origin" not in serving().client.post(PREDICT, content=red, headers=origin).headers
    client = serving(cors=("https://example.org",), token="secret").client
    headers = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    assert client.options(PREDICT, headers=headers).headers["access-control-allow-origin"] == "https://example.org"
    other = client.get("/readyz", headers={"Origin": "https://example.com"})
    assert "access-control-allow-origin" not in other.headers


def test_a_request_id_is_taken_cleaned_or_made(client: TestClient) -> None:
    def id_of(given: str | None) -> str:
        return str(
            client.get("/healthz", headers={} if given is None else {"X-Request-ID": given}).headers["x-request-id"]
        )

    assert id_of("job-7.a") == "job-7.a"
    assert id_of('7"; drop\t') == "7drop"
    assert len(id_of("x" * 500)) == 64
    assert id_of(None) != id_of(None)


def test_the_log_is_one_line_a_request(serving: Any, red: bytes) -> None:
    one = serving(log_format="json")
    one.client.post(f"{PREDICT}?top=1", content=red, headers={"X-Request-ID": "a"})
    one.client.get("/%0Aforged")
    first, second = map(json.loads, one.log.getvalue().splitlines())
    assert (first["method"], first["path"], first["status"], first["request_id"]) == ("POST", PREDICT, 200, "a")
    assert (second["path"], second["status"]) == ("/\nforged", 404)
    plain = serving()
    plain.client.get("/%0Aforged%1B[31m")
    assert plain.log.getvalue().count("\n") == 1
    assert "\x1b" not in plain.log.getvalue()


def test_from_the_signal_on_it_is_not_ready_and_sends_clients_elsewhere(serving: Any, red: bytes) -> None:
    one = serving()
    one.state.is_ready = False
    assert one.client.get("/readyz").status_code == one.client.get("/v2/health/ready").status_code == 503
    assert one.client.get("/healthz").status_code == 200
    answer = one.client.post(PREDICT, content=red)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_a_fault_of_the_server_is_logged_and_says_nothing_of_it(
    serving: Any, red: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = serving()

    def broken(inputs: Any) -> Any:
        raise RuntimeError("/home/you/secret.onnx is broken")

    monkeypatch.setattr(one.state.models["colour"].images, "infer", broken)
    answer = one.client.post(PREDICT, content=red, headers={"X-Request-ID": "b"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    error = capsys.readouterr().err
    assert "error: request b failed:" in error
    assert "/home/you/secret.onnx is broken" in error


def test_malformed_requests_are_the_clients_fault(client: TestClient, malformed: ModuleType, red: bytes) -> None:
    answers = {}
    for one in malformed.malformed("colour", (8, 8), red, 150, seed=1):
        headers = [(name, value.encode("latin-1")) for name, value in one.headers.items()]
        answer = client.post(one.path, content=one.body, headers=headers)
        assert 400 <= answer.status_code < 500, (one.kind, one.body[:200], answer.text)
        answers.setdefault(one.kind, set()).add(answer.status_code)
    assert len(answers) == 15


def test_metrics_count_what_happened(client: TestClient, red: bytes) -> None:
    client.post(PREDICT, files=[("f", ("a", red)), ("f", ("b", b"b"))])
    client.post(PREDICT, content=b"hello")
    text = client.get("/metrics").text
    for line in (
        'litevision_requests_total{method="POST",route="predict",status="200"} 1.0',
        'litevision_requests_total{method="POST",route="predict",status="422"} 1.0',
        'litevision_images_total{model="colour",outcome="ok"} 1.0',
        'litevision_images_total{model="colour",outcome="error"} 2.0',
        'litevision_errors_total{kind="image"} 1.0',
        'litevision_batch_size_sum{model="colour"} 1.0',
        'litevision_stage_seconds_count{model="colour",stage="decode"} 3.0',
        "litevision_queue_images 0.0",
        "litevision_held_bytes 0.0",
    ):
        assert line in text


@pytest.mark.parametrize(
    "settings", [{"max_queue": 2, "max_images": 3}, {"drain_s": 5, "grace_s": 5}, {"log_format": "x"}]
)
def test_limits_that_contradict_each_other(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"--(max-queue|drain-s|log-format)"):
        Settings(**settings)
