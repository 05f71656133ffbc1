"""The description names every route, and what each answers."""

import pytest
from starlette.testclient import TestClient

from litevision.serving.app import ROUTES


def test_it_names_every_route_and_no_other(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]
    assert sorted(described) == sorted(route.path.replace(":served}", "}") for route in ROUTES)
    methods = {route.path.replace(":served}", "}"): route.methods - {"HEAD"} for route in ROUTES}
    assert {path: {name.upper() for name in operations} for path, operations in described.items()} == methods


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/boxes", "/v2"])
def test_an_answer_is_of_the_type_that_it_says(client: TestClient, path: str) -> None:
    described = client.get("/openapi.json").json()["paths"][path.replace("boxes", "{name}")]["get"]
    answer = client.get(path)
    content = described["responses"][str(answer.status_code)]["content"]
    assert answer.headers["content-type"].partition(";")[0] in content


def test_the_token_is_described_where_there_is_one(serving: object) -> None:
    client = serving(token="secret").client  # type: ignore[operator]
    described = client.get("/openapi.json", headers={"Authorization": "Bearer secret"}).json()
    assert described["security"] == [{"token": []}]
    assert described["paths"]["/healthz"]["get"]["security"] == []
    assert "401" in described["paths"]["/metrics"]["get"]["responses"]
