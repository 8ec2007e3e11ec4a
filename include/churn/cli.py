"""`churn`: every job without Airflow."""

import typer

app = typer.Typer(no_args_is_help=True)
