"""The API follows the alias `production`, and keeps its model when the registry has nothing better."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from churn.registry import Registry
from churn.settings import Settings
from churn_api.app import create_app
from churn_api.production import FollowedModel
from tests.api.conftest import VERBATIM, TestRegistry, train_model
from tests.api.test_predict import problem


def production_of(app: Flask) -> FollowedModel:
    found: FollowedModel = app.extensions["production"]
    return found


def answered_version(app: Flask) -> int:
    response = app.test_client().post("/predict", json=VERBATIM)
    assert response.status_code == 200, response.text
    version: int = response.get_json()["model_version"]
    return version


@pytest.fixture
def restarted_registry(registry: TestRegistry) -> Iterator[TestRegistry]:
    """The registry, which is running again after the test."""
    yield registry
    if registry.server.process is None:
        registry.server.start()


def test_a_promotion_is_followed_and_undone(app: Flask, registry: TestRegistry) -> None:
    production = production_of(app)
    assert answered_version(app) == 1
    for version in (2, 1):
        registry.registry.promote(version)
        production.look()
        assert answered_version(app) == version
        served = production.served
        assert served is not None
        assert served.model.predict_record(VERBATIM) == registry.models[version].predict_record(VERBATIM)
    assert production.standing.state == "reachable"


def test_without_a_production_model_the_answer_says_what_to_do(registry: TestRegistry) -> None:
    registry.withdraw()
    app = create_app(Settings(mlflow_tracking_uri=registry.server.url))
    try:
        client = app.test_client()
        response = client.post("/predict", json=VERBATIM)
        document = problem(response, 503)
        assert "retrain_model" in document["next_step"]
        assert response.headers["Retry-After"] == "5"
        health = client.get("/health")
        assert health.status_code == 200
        assert health.get_json()["model_version"] is None
        assert health.get_json()["registry"]["state"] == "no production model"
        registry.registry.promote(2)
        production_of(app).look()
        assert answered_version(app) == 2
    finally:
        production_of(app).stop()


def test_a_withdrawn_alias_leaves_the_model_in_use(app: Flask, registry: TestRegistry) -> None:
    registry.withdraw()
    production_of(app).look()
    assert answered_version(app) == 1
    assert production_of(app).standing.state == "no production model"


def test_a_registry_that_is_away_leaves_the_model_in_use(app: Flask, restarted_registry: TestRegistry) -> None:
    restarted_registry.server.stop()
    production = production_of(app)
    production.look()
    assert answered_version(app) == 1
    health = app.test_client().get("/health").get_json()
    assert health["model_version"] == 1
    assert health["registry"]["state"] == "registry unavailable"
    assert health["registry"]["next_step"]


def test_a_registry_that_never_answered_is_a_503(restarted_registry: TestRegistry) -> None:
    restarted_registry.server.stop()
    production = FollowedModel(Registry(restarted_registry.server.url))
    production.look()
    assert production.served is None
    assert production.standing.state == "registry unavailable"
    app = create_app(Settings(mlflow_tracking_uri=restarted_registry.server.url))
    try:
        assert problem(app.test_client().post("/predict", json=VERBATIM), 503)["next_step"]
        assert app.test_client().get("/health").status_code == 200
    finally:
        production_of(app).stop()


def test_a_tampered_artifact_is_not_served(app: Flask, registry: TestRegistry) -> None:
    version = registry.add(seed=3)
    known = set(registry.registry.load(version).to_files())
    estimators = [path for path in _estimators(registry.artifacts, known) if _newest(path, registry.artifacts)]
    for path in estimators:
        path.write_bytes(path.read_bytes().replace(b"leaf_value=", b"leaf_value=9", 1))
    registry.registry.promote(version)
    production = production_of(app)
    production.look()
    assert answered_version(app) == 1
    assert production.standing.state == "artifact rejected"
    assert str(version) in production.standing.message
    registry.registry.promote(2)
    production.look()
    assert answered_version(app) == 2
    assert production.standing.state == "reachable"


def _estimators(artifacts: Path, names: set[str]) -> list[Path]:
    return [path for path in artifacts.rglob("estimator*") if path.is_file() and path.name in names]


def _newest(path: Path, artifacts: Path) -> bool:
    times = [other.stat().st_mtime for other in artifacts.rglob(path.name)]
    return path.stat().st_mtime == max(times)


def test_a_model_that_does_not_know_its_reference_is_not_served(app: Flask, registry: TestRegistry) -> None:
    """Its bytes are the recorded ones, and yet it is not the model that gave the recorded scores."""
    model, reference, policy = train_model(seed=4)
    run = registry.registry._client.create_run(registry.registry._client.get_experiment_by_name("churn").experiment_id)
    wrong = reference.assign(churn_probability=1 - reference["churn_probability"])
    version = registry.registry.register(model, run.info.run_id, wrong, policy).version
    registry.registry.promote(version)
    production = production_of(app)
    production.look()
    assert answered_version(app) == 1
    assert production.standing.state == "artifact rejected"
    assert "smoke test" in production.standing.message


def test_the_staging_model_is_followed_and_let_go(registry: TestRegistry) -> None:
    registry.registry.stage(2)
    challenger = FollowedModel(Registry(registry.server.url), alias="staging")
    challenger.look()
    assert challenger.served is not None
    assert challenger.served.version == 2
    registry.registry.promote(2)  # which takes the alias `staging` away
    challenger.look()
    assert challenger.served is None
    assert challenger.standing.state == "no staging model"
