"""Which model version serves, on whose word, and what it is worth."""

from dataclasses import asdict
from typing import Annotated

import typer

from churn.console import AsJson, open_services, show
from churn.errors import ConfigurationError

model_app = typer.Typer()
_ENDS = {"": "value", "_low": "low", "_high": "high"}

Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the ledger of promotions.")]
By = Annotated[
    str | None,
    typer.Option("--by", envvar="USER", help="Who wants it, for the ledger; the database role where left out."),
]


@model_app.command()
def promote(
    reason: Reason,
    model_version: Annotated[
        int | None,
        typer.Argument(
            metavar="[VERSION]", help="A version that the gate proposed; the challenger where left out.", min=1
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let a version serve that the promotion gate has approved; the API and the next night follow."""
    from churn.jobs.promote_model import awaiting, promote_model

    services = open_services()
    done = promote_model(services, model_version or awaiting(services), _said(reason, "promotion"), by or None)
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


@model_app.command()
def candidates(as_json: AsJson = False) -> None:
    """Show what each kind of candidate is worth by the newest nested cross-validation, with intervals."""
    from churn.core.estimation import interval
    from churn.db import candidate_estimates

    services = open_services()
    with services.database.transaction() as connection:
        estimates = candidate_estimates.newest(connection)
    rows = []
    for estimate in estimates:
        auc, profit = (interval(estimate.folds, name, services.policy) for name in ("roc_auc", "expected_profit"))
        rows.append(
            {
                "candidate": estimate.kind,
                "roc_auc": auc.value,
                "low": auc.low,
                "high": auc.high,
                "profit_per_customer": profit.value,
                "calibration": estimate.recipe.calibration.method,
                "rows_a_second": round(estimate.rows_a_second),
            }
        )
    show("Candidates", sorted(rows, key=lambda row: -row["roc_auc"]), as_json)


@model_app.command()
def performance(as_json: AsJson = False) -> None:
    """Show what each version promised on its holdout beside what came true."""
    from churn.db import promotions

    with open_services().database.transaction() as connection:
        measured = promotions.measures(connection)
    rows = []
    for row in measured:
        holdout = row.pop("holdout_auc")
        estimated = {f"holdout_auc{suffix}": holdout[name] for suffix, name in _ENDS.items()}
        realised = {f"realised_auc{suffix}": row.pop(f"roc_auc{suffix}") for suffix in _ENDS}
        rows.append(row | estimated | realised)
    show("Promised and realised", rows, as_json)


@model_app.command("verify-model")
def verify_model(
    model_version: Annotated[
        int | None, typer.Argument(metavar="[VERSION]", help="The Production version where left out.", min=1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold a registered version against what was recorded: its files, its digest, the scores of its reference."""
    from churn.jobs.verify_model import verify_model as verify

    show("Verified", [asdict(verify(open_services(), model_version))], as_json)


def _said(reason: str, act: str) -> str:
    if not reason.strip():
        raise ConfigurationError(f"A {act} needs a reason.", 'Say it with --reason "...".')
    return reason.strip()
