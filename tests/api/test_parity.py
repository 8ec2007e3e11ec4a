"""Every customer through the endpoint: last night's row, reasons included, to the bit."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from flask import Flask
from pydantic import SecretStr

from churn.columns import FEATURES, KEY
from churn.core.calibration import Calibration
from churn.core.candidates import Kind
from churn.core.model import ChurnModel
from churn.core.training import TrainingData, draw_reference, fit_model
from churn.jobs.score_customers import score_customers
from churn.jobs.validate_customers import validate_customers
from churn.services import Services
from churn.settings import Settings
from tests.api.conftest import running, services_of
from tests.conftest import TestDatabase, TestMlflow, without_aliases
from tests.jobs import DAY, admit_simulated
from tests.nights import published as published_table

EVERYONE = {"simulated": 7_043, "real": 5_634}


def promote_trained(services: Services, extract: pd.DataFrame, kind: Kind) -> None:
    """Train one calibrated model on an extract, register it with its reference and promote it."""
    data = TrainingData.from_extract(extract, DAY, "0" * 64)
    trained = fit_model(kind, data, services.policy, {"rounds": 80})
    model = ChurnModel(trained.kind, trained.encoder, trained.estimator, Calibration("platt", 1.1, 0.05))
    reference = draw_reference(model, data, services.policy)
    run = services.tracking.start_run("parity")
    services.registry.promote(services.registry.register(model, run.run_id, reference, services.policy).version)


def admit_real(services: Services, file: Path) -> pd.DataFrame:
    """Land the public file as it is and admit it."""
    landed = Path(services.landing.url) / f"customers-{DAY}.csv"
    landed.parent.mkdir(parents=True)
    shutil.copyfile(file, landed)
    validate_customers(services, str(landed))
    return pd.read_csv(landed, dtype=str, keep_default_na=False)


def hold_to_the_table(app: Flask, services: Services, table: pd.DataFrame) -> None:
    """Ask for every customer, alone and in one batch, and compare every published column."""
    with services.database.transaction() as connection:
        rows = connection.execute("SELECT * FROM churn.customers ORDER BY customer_id").fetchall()
    bodies = [{column.name: row[column.sql_name] for column in (KEY, *FEATURES)} for row in rows]
    caller = app.test_client()
    together = caller.post("/v1/predict/batch", json=bodies).get_json()["rows"]
    alone = [caller.post("/v1/predict", json=body).get_json() for body in bodies]
    for answers in (together, alone):
        answered = pd.DataFrame(answers).set_index("customer_id")
        assert list(answered.index) == list(table.index)
        for column in ("churn_probability", "decile", "risk_level", "reasons", "model_version"):
            assert answered[column].tolist() == table[column].tolist(), column


@pytest.mark.parametrize(("source", "kind"), [("simulated", "xgboost"), ("real", "lightgbm")])
def test_every_customer_gets_the_row_of_the_night(
    source: str, kind: Kind, churn_database: TestDatabase, mlflow_server: TestMlflow, tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    services = services_of(churn_database, mlflow_server, tmp_path)
    without_aliases(mlflow_server.tracking_uri)
    simulated = source == "simulated"
    extract = (
        admit_simulated(services, EVERYONE[source])
        if simulated
        else admit_real(services, request.getfixturevalue("telco_csv"))
    )
    promote_trained(services, extract, kind)
    score_customers(services)
    table = published_table(services.database).set_index("customer_id")
    assert len(table) == len(extract)
    settings = Settings(
        mlflow_tracking_uri=mlflow_server.tracking_uri,
        api_database_url=SecretStr(churn_database.as_role("churn_api").url),
    )
    for app in running(settings):
        hold_to_the_table(app, services, table)
