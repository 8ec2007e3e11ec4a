"""`churn platform ...`: the local platform from the command line."""

import json
import os
from typing import Annotated

import typer
from rich.console import Console

from churn.errors import PlatformError
from churn.platform.addresses import (
    airflow_environment,
    platform_environment,
    print_addresses,
    shell_exports,
)
from churn.platform.airflow_rest import AirflowRest
from churn.platform.files import last_lines
from churn.platform.layout import Platform
from churn.platform.leftovers import SUPERVISOR
from churn.platform.life import bring_up, take_down
from churn.platform.processes import log_of, names_of
from churn.platform.status import is_healthy, rows_of, table_of
from churn.settings import Settings

platform_app = typer.Typer(no_args_is_help=True, help="PostgreSQL, MLflow, Airflow and the API on this machine.")
_console = Console(highlight=False, soft_wrap=True)


@platform_app.command()
def up() -> None:
    """Start what does not run, wait until all is healthy, and print where it is."""
    settings = Settings()
    bring_up(settings, _say)
    print_addresses(settings, _console)


@platform_app.command()
def down() -> None:
    """Stop every process of the platform; data and logs stay."""
    take_down(Settings(), _say)


@platform_app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show each process with port, health, CPU and memory; ends with 1 unless all are healthy."""
    platform = Platform.of(Settings())
    rows = rows_of(platform)
    if as_json:
        typer.echo(json.dumps([row.as_dict() for row in rows], indent=1))
    else:
        _console.print(table_of(rows), soft_wrap=False)
        _say(f"The logs are in {platform.logs}.")
    if not is_healthy(rows):
        raise typer.Exit(1)


@platform_app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A process as `churn platform status` names it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Print the end of a process's log."""
    platform = Platform.of(Settings())
    known = (SUPERVISOR, *names_of(platform))
    if name not in known:
        raise PlatformError(f"The platform has no process {name!r}.", f"Choose one of {', '.join(known)}.")
    log = log_of(platform, name)
    if follow:
        os.execvp("tail", ["tail", "-n", str(lines), "-F", str(log)])  # noqa: S606  # nosec B606 - no shell
    for line in last_lines(log, lines):
        typer.echo(line)


@platform_app.command()
def run(
    dag_id: Annotated[str, typer.Argument(metavar="DAG", help="A DAG as the Airflow UI names it.")],
    minutes: Annotated[int, typer.Option(min=1, help="How long to wait for its end.")] = 60,
) -> None:
    """Run a DAG in the platform's Airflow and wait for its end, with progress; ends with 1 where it fails."""
    found = platform_environment(Settings())
    with AirflowRest(found["AIRFLOW_URL"], found["AIRFLOW_USER"], found["AIRFLOW_PASSWORD"]) as airflow:
        with _console.status(dag_id) as status:
            finished = airflow.run(dag_id, {}, minutes * 60.0, status.update)
        _say(f"{dag_id} succeeded in {finished:.0f} s.")


@platform_app.command()
def env(
    airflow: Annotated[bool, typer.Option("--airflow", help="Also what the `airflow` command line needs.")] = False,
) -> None:
    """Print shell exports that point other programs at the running platform, passwords included.

    Use it as: eval "$(churn platform env)"
    """
    settings = Settings()
    variables = platform_environment(settings)
    typer.echo(shell_exports(variables | (airflow_environment(settings) if airflow else {})), nl=False)


def _say(line: str) -> None:
    _console.print(line, markup=False)
