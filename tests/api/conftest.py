"""A real MLflow server with three versions of a small model, and the API over it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flask import Flask
from flask.testing import FlaskClient

from churn.columns import FEATURES, KEY
from churn.core.calibration import Calibration
from churn.core.model import ChurnModel
from churn.core.training import TrainingData, draw_reference, fit_model
from churn.platform.ports import LOOPBACK
from churn.policy import Policy
from churn.registry import MODEL_NAME, PRODUCTION_ALIAS, Registry
from churn.settings import Settings
from churn_api.app import create_app
from churn_api.production import FollowedModel
from tests.conftest import TestMlflow
from tests.server import Server, random_free_port

VERBATIM = {
    "tenure": 12,
    "MonthlyCharges": 70.5,
    "Contract": "Month-to-month",
    "PaymentMethod": "Electronic check",
    "gender": "Female",
    "SeniorCitizen": 0,
    "Partner": "Yes",
    "Dependents": "No",
}


def draw_customers(count: int, seed: int = 7) -> pd.DataFrame:
    """Customers that keep the column contract, drawn evenly from its ranges."""
    random = np.random.default_rng(seed)
    cells = {
        column.name: random.choice(column.categories, count)
        if column.categories
        else random.integers(0, int(min(column.maximum or 0, 72)) + 1, count)
        if column.kind == "integer"
        else np.round(random.uniform(18, 118, count), 2)
        for column in FEATURES
    }
    return pd.DataFrame({KEY.name: [f"T-{number:05d}" for number in range(count)], **cells})


def train_model(seed: int) -> tuple[ChurnModel, pd.DataFrame, Policy]:
    """A small calibrated model of drawn customers, its reference and the policy."""
    customers = draw_customers(600, seed)
    leaves = (customers["Contract"] == "Month-to-month") & (customers["tenure"] < 40)
    data = TrainingData(
        customers[KEY.name].to_numpy(object),
        customers.drop(columns=KEY.name),
        leaves.to_numpy().astype(np.int8),
        date(2026, 11, 1),
        "0" * 64,
    )
    policy = Policy(seed=seed)
    model = replace(fit_model("lightgbm", data, policy, {"rounds": 20}), calibration=Calibration("platt", 1.2, -0.1))
    return model, draw_reference(model, data, policy, 100), policy


@dataclass(frozen=True)
class TestRegistry:
    """A registry whose versions are models of different seeds."""

    __test__ = False
    server: Server
    registry: Registry
    models: dict[int, ChurnModel]
    artifacts: Path

    def withdraw(self) -> None:
        """Take the alias away: no version is Production."""
        self.registry._client.delete_registered_model_alias(MODEL_NAME, PRODUCTION_ALIAS)

    def add(self, seed: int) -> int:
        """Train, log and register one more version; return its number."""
        client = self.registry._client
        experiment = client.get_experiment_by_name("churn")
        experiment_id = experiment.experiment_id if experiment else client.create_experiment("churn")
        run = client.create_run(experiment_id)
        model, reference, policy = train_model(seed)
        version = self.registry.register(model, run.info.run_id, reference, policy)
        self.models[version.version] = model
        return version.version


@pytest.fixture(scope="session")
def model_registry(mlflow_server: TestMlflow) -> TestRegistry:
    """A real MLflow server with two versions of the model, none of them Production."""
    server = mlflow_server.server
    found = TestRegistry(server, Registry(server.url), {}, mlflow_server.artifacts)
    found.add(1)
    found.add(2)
    return found


@pytest.fixture
def registry(model_registry: TestRegistry) -> TestRegistry:
    """The registry with version 1 in Production."""
    model_registry.registry.promote(1)
    return model_registry


@pytest.fixture
def app(registry: TestRegistry) -> Iterator[Flask]:
    """The API over the registry, with version 1 loaded."""
    made = create_app(Settings(mlflow_tracking_uri=registry.server.url))
    made.config["PROPAGATE_EXCEPTIONS"] = False
    yield made
    production: FollowedModel = made.extensions["production"]
    production.stop()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A caller of the API."""
    return app.test_client()


@pytest.fixture
def gunicorn(registry: TestRegistry, tmp_path: Path) -> Iterator[Server]:
    """The API under gunicorn as it is deployed, on a free port of loopback."""
    port = random_free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py"]
    environment = {"CHURN_API_BIND": f"{LOOPBACK}:{port}", "CHURN_MLFLOW_TRACKING_URI": registry.server.url}
    server = Server(command, f"http://{LOOPBACK}:{port}", tmp_path / "api.log", environment)
    try:
        yield server.start()
    finally:
        server.stop()
