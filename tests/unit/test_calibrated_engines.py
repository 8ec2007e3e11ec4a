"""A compiled engine gives the bits of the calibrated model, whatever its trees and its calibration."""

from dataclasses import replace

import numpy as np
import pytest

from churn.core.calibration import METHODS, Calibration, Method, fit_calibration
from churn.core.candidates import blank_randomly
from churn.core.engines import compare, compiled_engine, reference_engine
from churn.core.model import ChurnModel
from churn.core.training import fit_model
from churn.policy import Policy
from tests.unit.test_engines import CUSTOMERS, DATA, MATRIX, MODELS, assert_bitwise, rows_on_thresholds


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> tuple[ChurnModel, str]:
    kind, parameters, engine_name = MODELS[request.param]
    return fit_model(kind, DATA, Policy(), parameters), engine_name


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_compiled_engine_has_the_bits_of_the_calibrated_model(case: tuple[ChurnModel, str], method: Method) -> None:
    raw, engine_name = case
    model = replace(raw, calibration=fit_calibration(method, DATA.labels, raw.predict(CUSTOMERS) ** 2))
    rows = np.vstack([MATRIX, blank_randomly(MATRIX, 4), rows_on_thresholds(model, 2_000)])
    engine, whole = compiled_engine(model), model.probabilities(rows)
    order = np.random.default_rng(2).permutation(len(rows))

    assert engine.name == engine_name
    assert model.calibration.method == method
    assert_bitwise(model, rows)
    assert not compare(reference_engine(raw), engine, rows).is_bitwise  # it does calibrate
    np.testing.assert_array_equal(engine.probabilities(rows[order]), whole[order])
    np.testing.assert_array_equal(np.concatenate([engine.probabilities(row[None]) for row in rows[:200]]), whole[:200])
    assert engine.probabilities(rows[:0]).shape == (0,)


def test_another_calibration_is_found_out() -> None:
    boosted = fit_model("lightgbm", DATA, Policy(), {"rounds": 60})
    calibrated = replace(boosted, calibration=Calibration("platt", 1.2, -0.1))
    other = replace(boosted, calibration=Calibration("platt", float(np.nextafter(1.2, 2)), -0.1))

    assert not compare(reference_engine(calibrated), compiled_engine(other), MATRIX).is_bitwise
