"""`churn api-key ...`, `churn api-log ...` and `churn arms`: who may ask the API, and what it answered."""

import os
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from churn.console import AsJson, open_services, open_settings, out, show
from churn.services import Services

api_key_app = typer.Typer(no_args_is_help=True, help="Who may ask the API.")
api_log_app = typer.Typer(no_args_is_help=True, help="What the API answered, and how it is forgotten.")


@api_key_app.command("create")
def api_key_create(
    name: Annotated[str, typer.Argument(help="Who will use it; it is named in the log.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="predict, read, explain or metrics; give it once for each.")
    ],
    days: Annotated[int | None, typer.Option(min=1, help="Days after which it expires; never where left out.")] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Answers a minute of each worker; by policy where left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once: only its hash is kept."""
    from churn.jobs.issue_api_key import issue_api_key

    valid_for = timedelta(days=days) if days is not None else None
    issued = issue_api_key(open_services().database, name, scope, valid_for, requests_per_minute)
    row = {
        "name": issued.key.key_name,
        "scopes": ", ".join(issued.key.scopes),
        "expires_at": issued.key.expires_at,
        "key": issued.text,
    }
    show("The key, shown this once", [row], as_json)


@api_key_app.command("list")
def api_key_list(as_json: AsJson = False) -> None:
    """List the keys, the newest first; secrets are not kept, so none is shown."""
    from churn.db import api_keys

    with open_services().database.transaction() as connection:
        rows = api_keys.list_all(connection)
    show("API keys", [row | {"scopes": ", ".join(row["scopes"])} for row in rows], as_json)


@api_key_app.command("revoke")
def api_key_revoke(name: Annotated[str, typer.Argument(help="The name of the key.")]) -> None:
    """Revoke a key; the API refuses it within seconds, and it never comes back."""
    from churn.jobs.issue_api_key import revoke_api_key

    revoke_api_key(open_services().database, name)
    out.print(f"The key {name} is revoked.", markup=False, highlight=False)


@api_log_app.command("erase")
def api_log_erase(customer: Annotated[str, typer.Argument(help="The customer's id.")], as_json: AsJson = False) -> None:
    """Erase every logged request that named a customer."""
    from churn.jobs.forget_requests import erase_customer

    erased = erase_customer(open_services().database, customer)
    show("Erased", [{"customer_id": customer, "erased_requests": erased}], as_json)


@api_log_app.command("prune")
def api_log_prune(as_json: AsJson = False) -> None:
    """Drop the days of the request log that the policy no longer keeps; the daily job does the same."""
    from churn.jobs.forget_requests import drop_old_requests

    services = open_services()
    kept_days = services.policy.api_requests_kept_days
    dropped = drop_old_requests(services.database, kept_days)
    show("Dropped", [{"kept_days": kept_days, "dropped_days": dropped}], as_json)


@api_log_app.command("latency")
def api_log_latency(
    hours: Annotated[int, typer.Option(min=1, help="How far to look back.")] = 24, as_json: AsJson = False
) -> None:
    """Show requests, errors and milliseconds in the worker, by route and model version."""
    from churn.db import answered_requests

    with open_services().database.transaction() as connection:
        rows = answered_requests.latencies(connection, hours)
    show(f"Requests of the last {hours} hours", rows, as_json)


def try_api(
    url: Annotated[
        str, typer.Option(envvar="CHURN_API_URL", help="Where the API listens; that of the local platform.")
    ] = "",
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Published customers to ask about.")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """Ask the running API about published customers and hold every answer against the night's table.

    A key is taken from CHURN_API_KEY. Ends with 1 where an answer differs.
    """
    from churn.jobs.try_api import try_api as ask

    settings = open_settings()
    address = url or os.environ.get("CHURN_API_URL", "")
    tried = ask(Services.from_settings(settings), address, os.environ.get("CHURN_API_KEY"), count)
    show("Answers beside the published scores", [asdict(tried)], as_json)
    if not tried.is_equal:
        raise typer.Exit(1)


def arms(as_json: AsJson = False) -> None:
    """Compare the answers of challenger and Production with the outcomes that have settled."""
    from churn.jobs.compare_arms import compare_arms

    rows = [
        {
            "challenger_version": each.challenger_version,
            "design": each.design,
            "customers_production": each.production_count,
            "customers_challenger": each.challenger_count,
            "roc_auc_production": each.production_auc.value,
            "roc_auc_challenger": each.challenger_auc.value,
            "difference": each.auc_difference.value,
            "difference_low": each.auc_difference.low,
            "difference_high": each.auc_difference.high,
            "profit_production": each.production_profit,
            "profit_challenger": each.challenger_profit,
            "fallbacks": each.fallback_count,
        }
        for each in compare_arms(open_services())
    ]
    show("Arms", rows, as_json)
