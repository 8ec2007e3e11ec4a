"""Every kind of model gives the same bits from a frame, a record, another order and its own files."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from churn.core.calibration import METHODS, Calibration, Method, fit_calibration
from churn.core.candidates import CANDIDATES, Kind, blank_randomly, fit_candidate
from churn.core.features import FeatureEncoder
from churn.core.model import ChurnModel, digest
from churn.core.training import TrainingData, fit_model
from churn.errors import ArtifactRejected
from churn.policy import Policy
from churn.simulator import simulate

CUSTOMERS = next(simulate(1_500, seed=3))
DATA = TrainingData.from_extract(CUSTOMERS, date(2026, 11, 1), "0" * 64)
ENCODER = FeatureEncoder.from_contract()
SMALL: dict[Kind, dict[str, int]] = {
    "lightgbm": {"rounds": 60},
    "xgboost": {"rounds": 60},
    "random_forest": {"n_estimators": 20},
    "logistic": {},
}


@pytest.fixture(scope="module", params=CANDIDATES)
def model(request: pytest.FixtureRequest) -> ChurnModel:
    return fit_model(request.param, DATA, Policy(), SMALL[request.param])


@pytest.fixture(scope="module")
def boosted() -> ChurnModel:
    return fit_model("lightgbm", DATA, Policy(), {"rounds": 10})


def test_a_model_gives_one_probability_for_each_customer(model: ChurnModel) -> None:
    probabilities = model.predict(CUSTOMERS)

    assert probabilities.dtype == np.float64
    assert probabilities.shape == (1_500,)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    assert probabilities[DATA.labels == 1].mean() > probabilities[DATA.labels == 0].mean() + 0.2


def test_a_record_gets_the_bits_of_its_row(model: ChurnModel) -> None:
    rows = CUSTOMERS.head(60)

    one_by_one = [model.predict_record(record) for record in rows.to_dict("records")]

    np.testing.assert_array_equal(one_by_one, model.predict(rows))


def test_a_record_of_two_fields_gets_the_bits_of_its_row(model: ChurnModel) -> None:
    rows = CUSTOMERS[["Contract", "tenure"]].head(20)

    one_by_one = [model.predict_record(record) for record in rows.to_dict("records")]

    np.testing.assert_array_equal(one_by_one, model.predict(rows))


def test_neither_the_order_nor_the_number_of_rows_changes_a_bit(model: ChurnModel) -> None:
    expected = model.predict(CUSTOMERS)
    order = np.random.default_rng(0).permutation(len(CUSTOMERS))
    parts = [model.predict(CUSTOMERS.iloc[start : start + 97]) for start in range(0, len(CUSTOMERS), 97)]

    np.testing.assert_array_equal(model.predict(CUSTOMERS.iloc[order]), expected[order])
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_no_customers_have_no_probabilities(model: ChurnModel) -> None:
    assert model.predict(CUSTOMERS.head(0)).shape == (0,)


def test_files_give_back_the_same_bits(model: ChurnModel) -> None:
    files = model.to_files()
    loaded = ChurnModel.from_files(files)

    assert loaded.kind == model.kind
    assert loaded.encoder == model.encoder
    np.testing.assert_array_equal(loaded.predict(CUSTOMERS), model.predict(CUSTOMERS))


@pytest.mark.parametrize("method", METHODS)
def test_a_calibrated_model_gives_the_same_bits_from_a_frame_a_record_a_part_and_its_files(
    model: ChurnModel, method: Method
) -> None:
    calibrated = calibrate(model, method)
    expected = calibrated.calibration.apply(model.predict(CUSTOMERS))
    order = np.random.default_rng(1).permutation(len(CUSTOMERS))
    loaded = ChurnModel.from_files(calibrated.to_files())

    assert loaded.calibration == calibrated.calibration
    for one in (calibrated, loaded):
        np.testing.assert_array_equal(one.predict(CUSTOMERS), expected)
        np.testing.assert_array_equal(one.predict(CUSTOMERS.iloc[order]), expected[order])
        records = CUSTOMERS.head(40).to_dict("records")
        np.testing.assert_array_equal([one.predict_record(record) for record in records], expected[:40])
        np.testing.assert_array_equal(one.raw_probabilities(ENCODER.encode(CUSTOMERS)), model.predict(CUSTOMERS))
        assert one.predict(CUSTOMERS.head(0)).shape == (0,)


def calibrate(model: ChurnModel, method: Method) -> ChurnModel:
    """The model with a calibration that changes what it says."""
    calibration = fit_calibration(method, DATA.labels, model.predict(CUSTOMERS) ** 2)
    assert calibration.method == method
    return replace(model, calibration=calibration)


def test_the_digest_covers_the_calibration(boosted: ChurnModel) -> None:
    digests = {digest(calibrate(boosted, method).to_files()) for method in METHODS}

    assert len(digests) == len(METHODS)


def test_an_artifact_of_format_1_goes_on_serving_as_it_did(model: ChurnModel) -> None:
    files = model.to_files()
    description = json.loads(files["model.json"])
    assert description["format"] == 2
    description["format"] = 1
    del description["calibration"]

    loaded = ChurnModel.from_files({**files, "model.json": json.dumps(description).encode()})

    assert loaded.calibration == Calibration.none()
    np.testing.assert_array_equal(loaded.predict(CUSTOMERS), model.predict(CUSTOMERS))


def test_training_twice_gives_the_same_model(model: ChurnModel) -> None:
    again = fit_model(model.kind, DATA, Policy(), SMALL[model.kind])

    np.testing.assert_array_equal(again.predict(CUSTOMERS), model.predict(CUSTOMERS))


@pytest.mark.parametrize("damage", [b"", b"tree\n", None])
def test_a_damaged_or_missing_file_is_rejected(model: ChurnModel, damage: bytes | None) -> None:
    for name in model.to_files():
        files = model.to_files()
        if damage is None:
            del files[name]
        else:
            files[name] = damage
        with pytest.raises(ArtifactRejected):
            ChurnModel.from_files(files)


def test_a_file_with_a_fitting_hash_but_no_model_in_it_is_rejected(model: ChurnModel) -> None:
    description = json.loads(model.to_files()["model.json"])
    name = description["estimator_file"]
    description["estimator_sha256"] = hashlib.sha256(b"no model").hexdigest()

    with pytest.raises(ArtifactRejected):
        ChurnModel.from_files({"model.json": json.dumps(description).encode(), name: b"no model"})


BAD_KNOTS = {"method": "isotonic", "knot_scores": [0.1, 0.2], "knot_probabilities": [0.3, 0.2]}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "oracle"},
        {"format": 3},
        {"encoder": 3},
        {"estimator_sha256": None},
        {"calibration": None},
        {"calibration": BAD_KNOTS},
    ],
)
def test_a_description_that_is_not_one_is_rejected(boosted: ChurnModel, change: dict[str, object]) -> None:
    files = boosted.to_files()
    description = {**json.loads(files["model.json"]), **change}

    with pytest.raises(ArtifactRejected):
        ChurnModel.from_files({**files, "model.json": json.dumps(description).encode()})


def test_a_forged_estimator_is_rejected_and_never_run(tmp_path: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    forged = skops.io.dumps(FunctionTransformer(os.system, kw_args={"command": f"touch {tmp_path}/run"}))
    description = {
        "format": 1,
        "kind": "logistic",
        "estimator_file": "estimator.skops",
        "estimator_sha256": hashlib.sha256(forged).hexdigest(),
        "encoder": json.loads(ENCODER.to_json()),
    }

    with pytest.raises(ArtifactRejected, match="not trusted"):
        ChurnModel.from_files({"model.json": json.dumps(description).encode(), "estimator.skops": forged})
    assert not (tmp_path / "run").exists()


def test_the_digest_sees_names_and_bytes_but_not_their_order() -> None:
    files = {"a": b"1", "b": b"23"}

    assert digest(files) == digest({"b": b"23", "a": b"1"})
    assert len({digest(f) for f in (files, {"a": b"12", "b": b"3"}, {"a": b"1", "c": b"23"}, {"a": b"1"})}) == 4


def test_a_boosted_model_reads_numbers_as_float64(boosted: ChurnModel) -> None:
    column = boosted.encoder.names.index("MonthlyCharges")
    dumped = boosted.estimator.dump_model()["tree_info"]
    thresholds = sorted({t for tree in dumped for t in _thresholds(tree["tree_structure"], column)})
    assert thresholds
    record = {**CUSTOMERS.iloc[0].to_dict()}
    # Two prices that are one float32, on the two sides of a split.
    for threshold in thresholds:
        above = float(np.nextafter(threshold, np.inf))
        assert np.float32(above) == np.float32(threshold)
        pair = [boosted.estimator.predict(_at(record, price), pred_leaf=True) for price in (threshold, above)]
        if not np.array_equal(*pair):
            return
    pytest.fail("no split on the price tells two neighbouring float64 apart")


def _at(record: dict[str, object], price: float) -> np.ndarray:
    return ENCODER.encode_record({**record, "MonthlyCharges": price})


def _thresholds(node: dict[str, object], column: int) -> list[float]:
    if "split_feature" not in node:
        return []
    own = [float(str(node["threshold"]))] if node["split_feature"] == column else []
    left, right = node["left_child"], node["right_child"]
    assert isinstance(left, dict)
    assert isinstance(right, dict)
    return own + _thresholds(left, column) + _thresholds(right, column)


def test_blanked_copies_lose_fields_at_every_rate() -> None:
    blanked = np.isnan(blank_randomly(np.zeros((4_000, 19)), seed=1)).mean(axis=1)

    assert blanked.mean() == pytest.approx(0.5, abs=0.02)
    assert np.quantile(blanked, 0.1) < 0.15
    assert np.quantile(blanked, 0.9) > 0.85


def test_a_model_trained_on_blanked_copies_copes_with_unknown_fields(model: ChurnModel) -> None:
    known = ["tenure", "Contract", "InternetService", "MonthlyCharges"]
    some, none = model.predict(CUSTOMERS[known]), model.predict(CUSTOMERS[[]])

    assert some[DATA.labels == 1].mean() > some[DATA.labels == 0].mean() + 0.15
    assert none[0] == pytest.approx(DATA.labels.mean(), abs=0.12)


def test_parameters_override_the_defaults() -> None:
    matrix = ENCODER.encode(CUSTOMERS)

    assert fit_candidate("lightgbm", ENCODER, matrix, DATA.labels, 1, {"rounds": 3}).num_trees() == 3


def test_a_service_that_only_reads_imports_no_training_library() -> None:
    heavy = "{'pandas', 'sklearn', 'scipy', 'matplotlib', 'xgboost', 'mlflow'}"
    script = f"import sys, churn.registry, churn.core.model; print({heavy} & set(sys.modules))"

    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "set()"
