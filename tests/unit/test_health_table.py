"""What `make health-check` calls well."""

import pytest

from churn.containers.health_table import expected_services, standings, table

EXPECTED = {"api": False, "init": True}


def container(service: str, state: str, health: str = "", exit_code: int = 0) -> dict[str, object]:
    return {"Service": service, "Name": f"{service}-1", "State": state, "Health": health, "ExitCode": exit_code}


WELL = [container("api", "running", "healthy"), container("init", "exited")]


def test_running_and_healthy_and_ended_as_it_should_is_well() -> None:
    assert [row.well for row in standings(EXPECTED, WELL)] == [True, True]


@pytest.mark.parametrize(
    ("found", "bad"),
    [
        ([WELL[1]], ["api"]),
        ([], ["api", "init"]),
        ([container("api", "running", "unhealthy"), WELL[1]], ["api"]),
        ([container("api", "running", "starting"), WELL[1]], ["api"]),
        ([container("api", "restarting"), WELL[1]], ["api"]),
        ([container("api", "exited"), WELL[1]], ["api"]),
        ([WELL[0], container("init", "exited", exit_code=1)], ["init"]),
        ([*WELL, container("api", "exited", exit_code=137)], ["api"]),
    ],
)
def test_anything_else_is_named(found: list[dict[str, object]], bad: list[str]) -> None:
    rows = standings(EXPECTED, found)
    assert [row.service for row in rows if not row.well] == bad
    assert [line.split()[1] for line in table(rows).splitlines() if line.startswith("BAD")] == bad


def test_a_service_scaled_to_nothing_is_not_missed() -> None:
    services = {
        "grafana": {"scale": 0}, "worker": {"deploy": {"replicas": 2}}, "off": {"deploy": {"replicas": 0}},
        "init": {"restart": "no"}, "api": {},
    }  # fmt: skip
    assert expected_services({"services": services}) == {"worker": False, "init": True, "api": False}
