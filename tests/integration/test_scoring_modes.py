"""Changed, shadow and backfilled runs; scores explained and recomputed; bits equal to MLflow's own answer."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from churn.core import training
from churn.core.calibration import Method, fit_calibration
from churn.core.candidates import CANDIDATES, Kind
from churn.core.engines import compiled_engine
from churn.core.features import FeatureEncoder
from churn.core.model import ChurnModel
from churn.core.training import TrainingData
from churn.db import scores
from churn.errors import NotFound, RunNotOpen
from churn.jobs.explain_customer import explain_customer
from churn.jobs.publish_scores import force_publish
from churn.jobs.score_customers import open_run, parts_of, score_customers
from churn.jobs.score_part import score_part
from churn.jobs.validate_customers import validate_customers
from churn.policy import Policy
from churn.services import Services
from churn.simulator import simulate
from tests.jobs import DAY, admit_simulated, promote_model, simulated_training, with_changes
from tests.nights import finish, loaded_rows, publish_unchecked, published, run_of


def admit(services: Services, frame: pd.DataFrame, day: date) -> None:
    """Land a frame as the extract of a day and admit all of it."""
    path = Path(services.landing.url) / f"customers-{day}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    (outcome,) = validate_customers(services, str(path))
    assert outcome.extract.admitted_count == len(frame)


def promote(services: Services, kind: Kind, data: TrainingData, calibration: Method = "none") -> tuple[int, ChurnModel]:
    """Train a model of a kind with the project's defaults, calibrate it and make it Production."""
    model = training.fit_model(kind, data, services.policy)
    raw = model.predict(data.features)
    model = replace(model, calibration=fit_calibration(calibration, data.labels, raw))
    run = services.tracking.start_run("test")
    reference = training.draw_reference(model, data, services.policy)
    version = services.registry.register(model, run.run_id, reference, services.policy).version
    services.registry.promote(version)
    return version, model


def lived_on(frame: pd.DataFrame, random: np.random.Generator, night: int) -> pd.DataFrame:
    """The next night: some customers a month older, one service changed, a few gone, a few new."""
    aged, changed = random.random(len(frame)) < 0.03, random.random(len(frame)) < 0.01
    tenure = frame.tenure.astype(int) + aged
    total = pd.to_numeric(frame.TotalCharges, errors="coerce").fillna(0) + aged * frame.MonthlyCharges.astype(float)
    frame = frame.assign(
        tenure=tenure,
        TotalCharges=total.round(2),
        PaperlessBilling=frame.PaperlessBilling.where(~changed, "No"),
    )
    stayed = frame[random.random(len(frame)) > 0.002]
    (arrived,) = simulate(5, seed=1_000 + night, with_churn=False)
    return pd.concat([stayed, arrived.assign(customerID=[f"0001-N{night:02d}{i}" for i in range(5)])])


def test_changed_mode_equals_full_mode_on_twenty_simulated_nights_and_old_scores_recompute_equal(
    services: Services,
) -> None:
    promote(services, "lightgbm", simulated_training(1_500, 1))
    random = np.random.default_rng(20)
    (frame,) = simulate(800, seed=4, with_churn=False)
    carried, known = 0, []
    for night in range(20):
        day = DAY + timedelta(days=night - 20)
        admit(services, frame, day)
        changed = publish_unchecked(services, open_run(services, "changed"))
        full = open_run(services, "full")
        score_part(services, full.scoring_run_id, 1)
        assert changed.scoring_run_id != full.scoring_run_id
        assert loaded_rows(services.database, changed) == loaded_rows(services.database, full)
        carried += sum(part.carried_count or 0 for part in parts_of(services, changed.scoring_run_id))
        known += [(str(customer), day) for customer in random.choice(frame.customerID, 5, replace=False)]
        frame = lived_on(frame, random, night)
    assert carried > 19 * 700
    for customer, day in known:
        explained = explain_customer(services, customer, day)
        assert explained.equal is True
        assert explained.stored == explained.recomputed
        assert explained.snapshot_date == day


@pytest.mark.parametrize(("stays", "is_riskier"), [("tenure < 20", True), ("tenure >= 20", False)])
def test_whoever_was_expected_at_the_top_those_who_are_there_have_their_reasons_and_nobody_else(
    services: Services, stays: str, is_riskier: bool
) -> None:
    """Some of a riskier table were explained for nothing; of a less risky one too few were."""
    policy = Policy(
        reasons_top_deciles=2, reasons_for_all_up_to=0, part_row_count=300, maximum_mean_shift=1.0,
        maximum_decile_shift=1.0, minimum_row_count_ratio=0.1, maximum_lost_customers_rate=1.0,
    )  # fmt: skip
    services = with_changes(services, policy=policy)
    promote_model(services)
    (frame,) = simulate(1_500, seed=6, with_churn=False)
    admit(services, frame, DAY - timedelta(days=1))
    first = score_customers(services)
    assert {part.explained_from for part in parts_of(services, first.scoring_run_id)} == {None}
    admit(services, frame.astype({"tenure": int}).query(stays), DAY)
    run = score_customers(services)
    table = published(services.database)
    (expected_from,) = {part.explained_from for part in parts_of(services, run.scoring_run_id)}
    assert (expected_from < table[table.decile <= 2].churn_probability.min()) == is_riskier
    assert run.explained_count == (table.decile <= 2).sum() > 50
    assert table[table.decile > 2].reasons.isna().all()
    score_customers(with_changes(services, policy=policy.model_copy(update={"reasons_top_deciles": 10})))
    of_everybody = published(services.database)
    assert of_everybody.reasons.notna().all()
    assert table[table.decile <= 2].reasons.tolist() == of_everybody[of_everybody.decile <= 2].reasons.tolist()


CALIBRATED: list[tuple[Kind, Method]] = [
    *((kind, "none") for kind in CANDIDATES),
    ("lightgbm", "platt"),
    ("xgboost", "isotonic"),
    ("random_forest", "platt"),
    ("logistic", "isotonic"),
]


@pytest.mark.parametrize(("kind", "calibration"), CALIBRATED)
def test_all_rows_of_the_real_file_equal_mlflows_own_answer_bitwise(
    services: Services, telco: pd.DataFrame, kind: Kind, calibration: Method
) -> None:
    data = TrainingData.from_extract(telco.iloc[::3], DAY, "0" * 64)
    version, model = promote(services, kind, data, calibration)
    assert model.calibration.method == calibration
    admit(services, telco, DAY)
    run = score_customers(services)
    assert run.model_version == version
    rows = telco.sort_values("customerID").drop(columns=["customerID", "Churn"])
    rows["TotalCharges"] = rows.TotalCharges.replace(" ", "0")  # not billed yet: admitted as 0
    mlflow.set_tracking_uri(services.tracking.tracking_uri)
    loaded = mlflow.pyfunc.load_model(f"models:/churn/{version}")
    expected = np.asarray(loaded.predict(rows), dtype=np.float64)
    table = published(services.database)
    assert len(table) == len(telco)
    assert table.customer_id.tolist() == sorted(telco.customerID)
    assert table.churn_probability.to_numpy().tobytes() == expected.tobytes()
    (part,) = parts_of(services, run.scoring_run_id)
    assert part.engine == {"logistic": "logistic"}.get(kind, part.engine)
    if kind in ("lightgbm", "xgboost"):
        assert (part.engine or "").startswith("numba")
    explained = explain_customer(services, telco.customerID[5])
    assert explained.equal is True
    raw = model.raw_probabilities(model.encoder.encode(telco.iloc[[5]]))
    assert (explained.recomputed == raw[0]) == (calibration == "none")


def test_a_float32_path_would_change_scores_of_the_real_file(telco: pd.DataFrame) -> None:
    # A threshold lies half way between two prices of the training rows: on a third price of the same 0.05 grid.
    data = TrainingData.from_extract(telco.iloc[::3], DAY, "0" * 64)
    model = training.fit_model("lightgbm", data, Policy())
    matrix = FeatureEncoder.from_contract().encode(telco)
    narrow = matrix.astype(np.float32).astype(np.float64)
    changed = np.abs(model.probabilities(matrix) - model.probabilities(narrow))
    assert (changed > 0).any()
    assert changed.max() > 0.001
    exact = compiled_engine(model).probabilities(matrix)
    assert exact.tobytes() == model.probabilities(matrix).tobytes()


def test_a_shadow_run_scores_everyone_with_the_staging_model_and_is_never_published(services: Services) -> None:
    admit_simulated(services, count=400)
    promote_model(services)
    shown = score_customers(services)
    staged = _register(services, "xgboost")
    services.registry.stage(staged)
    shadow = score_customers(services, "shadow")
    assert (shadow.state, shadow.model_version, shadow.scored_count) == ("checked", staged, 400)
    assert set(published(services.database).scoring_run_id) == {shown.scoring_run_id}
    with services.database.transaction() as connection:
        (compared,) = connection.execute("SELECT * FROM monitoring.shadow_comparisons").fetchall()
    assert compared["compared_run_id"] == shown.scoring_run_id
    assert compared["customer_count"] == 400
    assert compared["correlation"] > 0.7
    with pytest.raises(RunNotOpen, match="shadow"):
        force_publish(services, shadow.scoring_run_id, "it looks good")
    assert score_customers(services, "shadow").scoring_run_id == shadow.scoring_run_id


def test_without_a_staging_model_there_is_nothing_to_shadow(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    with pytest.raises(NotFound, match="Staging"):
        score_customers(services, "shadow")


def test_a_promoted_challenger_is_staging_no_longer(services: Services) -> None:
    version = _register(services, "logistic")
    services.registry.stage(version)
    found = services.registry.staging_version()
    assert found is not None
    assert (found.version, found.stage) == (version, "staging")
    services.registry.promote(version)
    assert services.registry.staging_version() is None
    assert services.registry.production_version().stage == "production"


def test_a_date_is_backfilled_from_history(services: Services) -> None:
    admit_simulated(services, count=300, day=date(2026, 11, 20))
    admit_simulated(services, count=350, day=date(2026, 11, 22), seed=2)
    promote_model(services)
    today = score_customers(services)
    old = score_customers(services, day=date(2026, 11, 20))
    assert (old.state, old.scored_count) == ("published", 300)
    assert set(published(services.database).scoring_run_id) == {today.scoring_run_id}
    with pytest.raises(NotFound, match="2026-11-21"):
        open_run(services, day=date(2026, 11, 21))


def test_a_score_is_explained_from_what_was_recorded(services: Services) -> None:
    rows = admit_simulated(services, count=300)
    version = promote_model(services)
    run = score_customers(services)
    promote_model(services, seed=2)
    customer = rows.customerID[7]
    explained = explain_customer(services, customer)
    assert explained.equal is True
    assert explained.model_version == version
    with services.database.transaction() as connection:
        stored = scores.find(connection, run_of(services, run.scoring_run_id), customer)
    assert stored is not None
    assert list(explained.reasons) == (stored.reasons or [])
    assert explained.stored == stored.churn_probability
    with pytest.raises(NotFound, match="not in the snapshot"):
        explain_customer(services, "9999-NOBODY")
    with pytest.raises(NotFound, match="2020-01-01"):
        explain_customer(services, customer, date(2020, 1, 1))


def test_changed_mode_without_a_run_to_start_from_scores_everyone(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    run = score_customers(services, "changed")
    (part,) = parts_of(services, run.scoring_run_id)
    assert (run.base_run_id, part.carried_count, part.row_count) == (None, 0, 300)


def test_changed_mode_works_in_parts(services: Services) -> None:
    policy = Policy(part_row_count=150)
    divided = with_changes(services, policy=policy)
    admit_simulated(services, count=600, day=date(2026, 11, 21))
    promote_model(services)
    score_customers(divided)
    admit_simulated(services, count=650, day=date(2026, 11, 22))
    run = finish(divided, open_run(divided, "changed"))
    parts = parts_of(services, run.scoring_run_id)
    assert len(parts) == 5
    assert sum(part.carried_count or 0 for part in parts) > 0
    assert len(published(services.database)) == 650


def _register(services: Services, kind: Kind) -> int:
    data = simulated_training(1_500, 1)
    model = training.fit_model(kind, data, services.policy, {} if kind == "logistic" else {"rounds": 60})
    run = services.tracking.start_run("test")
    reference = training.draw_reference(model, data, services.policy)
    return services.registry.register(model, run.run_id, reference, services.policy).version
