"""A real MLflow server with three versions of a small model, and the API over it."""

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from churn.columns import FEATURES, KEY
from churn.core.calibration import Calibration
from churn.core.model import ChurnModel
from churn.core.training import TrainingData, draw_reference, fit_model
from churn.jobs.score_customers import score_customers
from churn.platform.ports import LOOPBACK
from churn.policy import Policy
from churn.registry import MODEL_NAME, PRODUCTION_ALIAS, Registry
from churn.services import Services
from churn.settings import PROJECT, Settings
from churn_api.app import create_app
from churn_api.night import Night
from churn_api.production import FollowedModel
from tests.conftest import TestDatabase, TestMlflow, TestServer
from tests.jobs import admit_simulated, promote_model
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
    yield from running(Settings(mlflow_tracking_uri=registry.server.url))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A caller of the API."""
    return app.test_client()


@pytest.fixture
def gunicorn(registry: TestRegistry, tmp_path: Path) -> Iterator[Server]:
    """The API under gunicorn as it is deployed, on a free port of loopback."""
    with under_gunicorn(registry, tmp_path) as server:
        yield server


@contextmanager
def under_gunicorn(
    registry: TestRegistry, folder: Path, configuration: str = "api/gunicorn.conf.py"
) -> Iterator[Server]:
    """The API under gunicorn, on a free port of loopback."""
    port = random_free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", configuration]
    environment = {
        "CHURN_API_BIND": f"{LOOPBACK}:{port}",
        "CHURN_MLFLOW_TRACKING_URI": registry.server.url,
        "PYTHONPATH": str(PROJECT),
    }
    server = Server(command, f"http://{LOOPBACK}:{port}", folder / "api.log", environment)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def night_template(
    postgres: TestServer, migrated_template: str, mlflow_server: TestMlflow, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A database with a published night of 300 simulated customers, made once and copied for each test."""
    database = postgres.copy(migrated_template, "churn_night_template")
    services = services_of(database, mlflow_server, tmp_path_factory.mktemp("night"))
    admit_simulated(services, 300)
    promote_model(services)
    score_customers(services)
    return database.name


@pytest.fixture
def night_database(postgres: TestServer, night_template: str) -> TestDatabase:
    """A copy of the published night."""
    return postgres.copy(night_template, f"churn_night_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def published(night_database: TestDatabase, mlflow_server: TestMlflow, tmp_path: Path) -> Services:
    """The services of a published night, whose model is Production."""
    services = services_of(night_database, mlflow_server, tmp_path)
    promote_model(services)
    return services


@pytest.fixture
def night_app(published: Services, night_database: TestDatabase) -> Iterator[Flask]:
    """The API beside a published night, which reads as role churn_api."""
    yield from running(
        Settings(
            mlflow_tracking_uri=published.registry.tracking_uri,
            api_database_url=SecretStr(night_database.as_role("churn_api").url),
        )
    )


def services_of(database: TestDatabase, mlflow: TestMlflow, home: Path) -> Services:
    """Services over a database, with a home of their own."""
    url = SecretStr(database.as_role("churn_pipeline").url)
    return Services.from_settings(
        Settings(home=home / "home", database_url=url, MLFLOW_TRACKING_URI=mlflow.tracking_uri)
    )


def running(settings: Settings) -> Iterator[Flask]:
    """The API, which has looked once at the registry and the database, and is stopped afterwards."""
    made = create_app(settings)
    made.config["PROPAGATE_EXCEPTIONS"] = False
    night: Night = made.extensions["night"]
    night.look()
    yield made
    production: FollowedModel = made.extensions["production"]
    production.stop()
    night.stop()
