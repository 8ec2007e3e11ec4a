"""Dockerfiles and Compose files are what their specifications say, and keep to the house's rules."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from churn.secret_rules import OF_THE_STACK
from churn.settings import PROJECT

COMPOSE = PROJECT / "docker-compose.yaml"
OFFLINE = PROJECT / "tests/containers/docker-compose.offline.yaml"
DOCKERFILES = [PROJECT / "Dockerfile", *sorted((PROJECT / "tests/containers").rglob("Dockerfile"))]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
OURS = {name: each for name, each in SERVICES.items() if "build" in each}
OWN_HEALTH_CHECK = {"airflow-api-server", "mlflow", "api"}  # the image's own is theirs


def _tool(name: str, *arguments: str) -> None:
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [COMPOSE, OFFLINE], ids=lambda file: file.name)
def test_a_compose_file_is_what_the_specification_says(file: Path) -> None:
    _tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(file))


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_hadolint_finds_nothing(file: Path) -> None:
    _tool("hadolint", "--config", str(PROJECT / ".hadolint.yaml"), str(file))


def test_every_service_has_limits_and_no_more_rights_than_it_needs() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["logging"]["options"]["max-size"], name


def test_every_service_that_stays_says_whether_it_is_well() -> None:
    silent = [name for name, each in SERVICES.items() if "test" not in each.get("healthcheck", {})]
    assert set(silent) == OWN_HEALTH_CHECK | {"init"}
    assert (PROJECT / "Dockerfile").read_text("utf-8").count("HEALTHCHECK") == 3


def test_every_port_is_published_on_loopback_unless_told_otherwise() -> None:
    ports = [port for each in SERVICES.values() for port in each.get("ports", [])]
    assert len(ports) == 6
    assert [port for port in ports if not re.match(r"(\$\{BIND_ADDRESS:-127\.0\.0\.1\}|127\.0\.0\.1):", port)] == []


def test_nothing_of_ours_starts_before_the_set_up_has_ended() -> None:
    waiting = {name for name in OURS if name != "init"} | {"grafana"}
    for name in waiting:
        assert SERVICES[name]["depends_on"]["init"] == {"condition": "service_completed_successfully"}, name


def test_no_disk_is_shared_by_two_services() -> None:
    named = [volume.split(":")[0] for each in SERVICES.values() for volume in each.get("volumes", [])]
    kept = [name for name in named if re.fullmatch(r"[a-z0-9]+", name)]
    assert sorted(kept) == ["grafana", "postgres", "redis", "s3"]


def test_compose_and_the_judge_know_the_same_secrets() -> None:
    asked_for = set(re.findall(r"\$\{([A-Z0-9_]+):\?", COMPOSE.read_text("utf-8")))
    assert asked_for == {each.variable for each in OF_THE_STACK}


def test_every_variable_of_the_stack_is_in_the_example_and_in_the_docs() -> None:
    variables = set(re.findall(r"\$\{([A-Z0-9_]+)[:}?-]", COMPOSE.read_text("utf-8")))
    for document in (".env.example", "docs/containers.md"):
        text = (PROJECT / document).read_text("utf-8")
        assert [name for name in sorted(variables) if not re.search(rf"\b{name}\b", text)] == [], document


def test_every_image_is_pinned() -> None:
    images = [each["image"] for each in SERVICES.values() if "build" not in each]
    assert len(images) == 4
    assert [image for image in images if not re.search(r":v?\d+\.\d+", image)] == []
