"""`churn promote|rollback|history`: which model version serves, on whose word, and why."""

from typing import Annotated

import typer

from churn.console import AsJson, open_services, show
from churn.errors import ConfigurationError

model_app = typer.Typer()

Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the ledger of promotions.")]
By = Annotated[
    str | None,
    typer.Option("--by", envvar="USER", help="Who wants it, for the ledger; the database role where left out."),
]


@model_app.command()
def promote(
    model_version: Annotated[int, typer.Argument(metavar="VERSION", help="A version that the gate proposed.", min=1)],
    reason: Reason,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let a version serve that the promotion gate has approved; the API and the next night follow."""
    from churn.jobs.promote_model import promote_model

    done = promote_model(open_services(), model_version, _said(reason, "promotion"), by or None)
    show("Production", [done.summary()], as_json)


@model_app.command()
def rollback(
    reason: Reason,
    model_version: Annotated[
        int | None,
        typer.Argument(metavar="[VERSION]", help="An approved version; the one before where left out.", min=1),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let an approved model version serve again; the API and the next night follow."""
    from churn.jobs.roll_back_model import roll_back_model

    done = roll_back_model(open_services(), _said(reason, "rollback"), model_version, by or None)
    show("Production", [done.summary()], as_json)


@model_app.command()
def history(limit: Annotated[int, typer.Option(min=1)] = 20, as_json: AsJson = False) -> None:
    """List the ledger of promotions, newest first: what the gate and people decided, what was rolled back, and why."""
    from churn.db import promotions

    with open_services().database.transaction() as connection:
        rows = promotions.history(connection, limit)
    show("Promotions", rows, as_json)


def _said(reason: str, act: str) -> str:
    if not reason.strip():
        raise ConfigurationError(f"A {act} needs a reason.", 'Say it with --reason "...".')
    return reason.strip()
