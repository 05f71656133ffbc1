"""The Dockerfile and the examples beside it name files, options and routes that exist, and agree with each other."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from litevision.cli.parser import parse
from litevision.cli.serve import ServeOptions
from litevision.serving.app import ROUTES

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((ROOT / "examples/serve/compose.yaml").read_text())["services"]["litevision"]
DEPLOYMENT, SERVICE = yaml.safe_load_all((ROOT / "examples/serve/kubernetes.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]


def lines(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction} (.*)$", DOCKERFILE, re.MULTILINE)


def options(words: list[str]) -> Any:
    assert words[0] == "serve"
    return parse(ServeOptions, words[1:], command="litevision serve").options


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    copied = [word for line in lines("COPY") if "--from" not in line for word in line.split()[:-1]]
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(kept)
    assert all((ROOT / path).exists() for path in copied)


def test_packages_come_from_the_lock_with_hashes_and_the_package_without_any() -> None:
    first, second = (re.search(r"pip --python \S+ install (.*?)(?:&&|$)", line) for line in lines("RUN"))
    assert first
    assert second
    assert {"--require-hashes", "lock/serve.txt"} <= set(first[1].split())
    assert {"--no-deps", "--no-build-isolation", "."} <= set(second[1].split())
    locked = (ROOT / "lock/serve.txt").read_text()
    removed = re.findall(r"uninstall --quiet --yes\s+([\w -]+?)\s+&&", DOCKERFILE)[0].split()
    assert [name for name in removed if not re.search(rf"^{name}==", locked, re.MULTILINE)] == []


def test_it_runs_as_nobody_and_ends_by_sigterm() -> None:
    [user], [stop] = lines("USER"), lines("STOPSIGNAL")
    assert (user, stop) == ("10001:10001", "SIGTERM")
    assert POD["securityContext"]["runAsUser"] == int(user.partition(":")[0])


@pytest.mark.parametrize(
    "words",
    [yaml.safe_load(lines("CMD")[-1]), COMPOSE["command"], CONTAINER["args"]],
    ids=["Dockerfile", "Compose", "Kubernetes"],
)
def test_commands_are_read_and_reach_the_port(words: list[str]) -> None:
    found = options(words)
    assert (found.host, found.port) == ("0.0.0.0", int(lines("EXPOSE")[0]))
    assert found.log_format == "json"


def test_the_documented_commands_are_read() -> None:
    shown = re.findall(r"^#   docker run .* litevision (serve .*)$", DOCKERFILE, re.MULTILINE)
    assert [options(shlex.split(line)).models for line in shown] == [("/models/first",)]


def test_who_waits_for_the_end_waits_longer_than_it_takes() -> None:
    grace_s = ServeOptions(models=("clothing",)).grace_s
    assert int(COMPOSE["stop_grace_period"].removesuffix("s")) > grace_s
    assert POD["terminationGracePeriodSeconds"] > max(grace_s, options(CONTAINER["args"]).grace_s)


def test_probes_ask_for_routes_that_exist() -> None:
    asked = re.findall(r"127\.0\.0\.1:8000(/\w+)", DOCKERFILE)
    asked += [CONTAINER[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")]
    assert asked == ["/healthz", "/readyz", "/healthz"]
    assert set(asked) <= {route.path for route in ROUTES}
    assert SERVICE["spec"]["ports"][0]["targetPort"] == CONTAINER["ports"][0]["containerPort"] == 8000


def test_the_examples_are_limited() -> None:
    assert COMPOSE["read_only"] is CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    assert COMPOSE["cap_drop"] == CONTAINER["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert {"cpus", "mem_limit", "pids_limit"} <= set(COMPOSE)
    assert CONTAINER["resources"]["limits"].keys() == {"cpu", "memory"}
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["ports"])
