"""`python -m churn.containers.health_table -- docker compose ...`: each container of the stack and how it is.

Ends with 1 where a service is missing, stopped or unhealthy. Needs no library, only a Python 3.10.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Standing:
    """One container, or a service without one."""

    service: str
    container: str
    state: str
    well: bool


def standings(expected: Mapping[str, bool], containers: Iterable[Mapping[str, Any]]) -> list[Standing]:
    """How every expected service stands.

    `expected` maps a service to whether it runs once and ends; `containers` are the rows of `docker compose ps`.
    """
    rows = [
        Standing(each["Service"], each["Name"], _state(each), _is_well(each, expected.get(each["Service"], False)))
        for each in containers
    ]
    there = {row.service for row in rows}
    missing = [Standing(name, "-", "missing", False) for name in expected if name not in there]
    return sorted([*rows, *missing], key=lambda row: (row.service, row.container))


def expected_services(config: Mapping[str, Any]) -> dict[str, bool]:
    """The services that a resolved compose file asks for, with whether each runs once and ends."""
    services = config["services"].items()
    return {name: each.get("restart") == "no" for name, each in services if _replicas(each) > 0}


def table(rows: Sequence[Standing]) -> str:
    """The rows as text."""
    width = max((len(row.service) for row in rows), default=0)
    longest = max((len(row.container) for row in rows), default=0)
    return "".join(
        f"{'ok ' if row.well else 'BAD'}  {row.service:{width}}  {row.container:{longest}}  {row.state}\n"
        for row in rows
    )


def main(compose: Sequence[str]) -> int:
    """Print the table; 0 where everything is well, else 1. `compose` is the command that speaks for the stack."""
    config = json.loads(_output([*compose, "config", "--format", "json"]))
    listed = _output([*compose, "ps", "--all", "--format", "json"])
    containers = [json.loads(line) for line in listed.splitlines() if line.strip()]
    rows = standings(expected_services(config), containers)
    sys.stdout.write(table(rows))
    return 0 if rows and all(row.well for row in rows) else 1


def _replicas(service: Mapping[str, Any]) -> int:
    deployed = (service.get("deploy") or {}).get("replicas")
    return int(service.get("scale", 1 if deployed is None else deployed))


def _is_well(container: Mapping[str, Any], ends: bool) -> bool:
    if ends and container["State"] == "exited":
        return int(container["ExitCode"]) == 0
    return container["State"] == "running" and container.get("Health") in ("healthy", "")


def _state(container: Mapping[str, Any]) -> str:
    if container["State"] == "exited":
        return f"ended with {container['ExitCode']}"
    return container.get("Health") or str(container["State"])


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-800:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
