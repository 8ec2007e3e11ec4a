"""A compiled engine gives the bits of the model's own library, or it is found out."""

import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from churn.core.candidates import Kind, blank_randomly
from churn.core.coded_forest import grid_of, small_splits_of
from churn.core.engines import (
    CannotCompile,
    Engine,
    compare,
    compile_forest,
    compiled_engine,
    reference_engine,
)
from churn.core.features import FeatureEncoder, Matrix
from churn.core.forest import forest_of
from churn.core.model import ChurnModel
from churn.core.training import TrainingData, fit_model
from churn.policy import Policy
from churn.simulator import simulate

CUSTOMERS = next(simulate(1_500, seed=3))
DATA = TrainingData.from_extract(CUSTOMERS, date(2026, 11, 1), "0" * 64)
ENCODER = FeatureEncoder.from_contract()
MATRIX = ENCODER.encode(CUSTOMERS)
MONTHLY, TOTAL = ENCODER.names.index("MonthlyCharges"), ENCODER.names.index("TotalCharges")

# More thresholds on a price than a byte has values.
FINE = {"learning_rate": 0.5, "max_bin": 4_095, "min_data_in_bin": 1, "min_child_samples": 3, "lambda_l2": 0.0}
# Each kind with trees of every size.
MODELS: dict[str, tuple[Kind, dict[str, Any], str]] = {
    "lightgbm": ("lightgbm", {"rounds": 60}, "numba tables"),
    "lightgbm large": ("lightgbm", {"rounds": 40, "num_leaves": 31}, "numba bit vectors"),
    "lightgbm larger": ("lightgbm", {"rounds": 20, "num_leaves": 64, "min_child_samples": 5}, "numba bit vectors"),
    "lightgbm largest": ("lightgbm", {"rounds": 20, "num_leaves": 90, "min_child_samples": 5}, "numba walk"),
    "lightgbm fine": ("lightgbm", {**FINE, "rounds": 250, "num_leaves": 9}, "numba tables"),
    "lightgbm finer": ("lightgbm", {**FINE, "rounds": 60, "num_leaves": 31}, "numba bit vectors"),
    "xgboost": ("xgboost", {"rounds": 60}, "numba tables"),
    "xgboost large": ("xgboost", {"rounds": 40, "max_depth": 5}, "numba bit vectors"),
    "xgboost largest": ("xgboost", {"rounds": 20, "max_depth": 9, "min_child_weight": 0.1}, "numba walk"),
    "forest small": ("random_forest", {"n_estimators": 20, "max_leaf_nodes": 9}, "numba tables"),
    "forest": ("random_forest", {"n_estimators": 20, "min_samples_leaf": 5}, "numba walk"),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> tuple[ChurnModel, str]:
    kind, parameters, engine_name = MODELS[request.param]
    return fit_model(kind, DATA, Policy(), parameters), engine_name


@pytest.fixture(scope="module")
def boosted() -> ChurnModel:
    return fit_model("lightgbm", DATA, Policy(), {"rounds": 60})


def assert_bitwise(model: ChurnModel, matrix: Matrix) -> None:
    parity = compare(reference_engine(model), compiled_engine(model), matrix)
    assert parity.is_bitwise, parity
    assert parity.row_count == len(matrix)


def test_engines_are_named_after_what_answers(case: tuple[ChurnModel, str]) -> None:
    model, engine_name = case

    assert reference_engine(model).name == model.kind
    assert compiled_engine(model).name == engine_name


@pytest.mark.parametrize("name", ["lightgbm fine", "lightgbm finer"])
def test_the_fine_models_need_more_than_a_byte_for_a_code(name: str) -> None:
    kind, parameters, _ = MODELS[name]
    forest = forest_of(fit_model(kind, DATA, Policy(), parameters))
    _, places = grid_of(forest)

    assert small_splits_of(forest, places).bound.dtype == np.uint16


def test_a_compiled_engine_has_the_bits_of_the_library(case: tuple[ChurnModel, str]) -> None:
    model, _ = case

    assert_bitwise(model, MATRIX)
    np.testing.assert_array_equal(compiled_engine(model).probabilities(MATRIX), model.predict(CUSTOMERS))


def test_unknown_fields_go_the_way_of_the_library(case: tuple[ChurnModel, str]) -> None:
    model, _ = case

    assert_bitwise(model, np.vstack([blank_randomly(MATRIX, 1), np.full((1, len(ENCODER.columns)), np.nan)]))


def test_numbers_on_thresholds_and_beside_them_go_the_way_of_the_library(case: tuple[ChurnModel, str]) -> None:
    model, _ = case

    assert_bitwise(model, rows_on_thresholds(model, 3_000))


def rows_on_thresholds(model: ChurnModel, count: int) -> Matrix:
    """Every number is a threshold of the model, one of its neighbours as float64 or float32, or unknown."""
    forest, random = forest_of(model), np.random.default_rng(5)
    columns = []
    for feature in range(forest.feature_count):
        exact = forest.threshold[(forest.left >= 0) & (forest.feature == feature) & np.isfinite(forest.threshold)]
        single = exact.astype(np.float32)
        near = [np.nextafter(values, values.dtype.type(way)) for values in (exact, single) for way in (-np.inf, np.inf)]
        columns.append(random.choice(np.concatenate([exact, single, *near, [np.nan, 0.0, -0.0]]), count))
    return np.column_stack(columns)


def test_prices_on_their_grid_go_the_way_of_the_library(case: tuple[ChurnModel, str]) -> None:
    model, _ = case

    assert_bitwise(model, rows_on_the_price_grid(4_000))


def rows_on_the_price_grid(count: int) -> Matrix:
    random = np.random.default_rng(7)
    rows = MATRIX[random.integers(0, len(MATRIX), count)]
    rows[:, MONTHLY] = random.integers(360, 2_400, count) / 20  # 18.00, 18.05, ... 119.95
    rows[:, TOTAL] = random.integers(360, 170_000, count) / 20
    return rows


@settings(max_examples=60)
@given(arrays(np.float64, (3, 19), elements=st.floats(-1e9, 1e9) | st.just(np.nan)))
def test_any_numbers_go_the_way_of_the_library(rows: Matrix) -> None:
    assert compare(reference_engine(WIDE), COMPILED_WIDE, rows).is_bitwise


def trained_on(matrix: Matrix, **parameters: Any) -> ChurnModel:
    """LightGBM as it is without our blanked copies."""
    data = lightgbm.Dataset(matrix, DATA.labels, categorical_feature=parameters.pop("categorical_feature", "auto"))
    chosen = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1, **parameters}
    return ChurnModel("lightgbm", ENCODER, lightgbm.train(chosen, data, num_boost_round=20))


# Numbers below zero, and no unknown ones: LightGBM's missing type None, and thresholds around its zero.
SHIFTED = np.nan_to_num(MATRIX) - np.array([20.0 if column.categories is None else 1.0 for column in ENCODER.columns])
WIDE = trained_on(SHIFTED)
COMPILED_WIDE = compiled_engine(WIDE)


def test_an_unknown_counts_as_zero_where_training_had_none() -> None:
    missing = WIDE.estimator.trees_to_dataframe()["missing_type"].dropna()

    assert set(missing) == {"None"}
    assert_bitwise(WIDE, blank_randomly(SHIFTED, 2))
    assert_bitwise(WIDE, rows_on_thresholds(WIDE, 3_000))


def test_numbers_as_small_as_lightgbms_zero_are_zero() -> None:
    bound = np.float64(np.float32(1e-35))
    tiny = [s * x for s in (-1, 1) for x in (0.0, bound, np.nextafter(bound, 0), np.nextafter(bound, 1), 5e-324)]

    for number in tiny:
        rows = SHIFTED.copy()
        rows[:, :] = np.where(np.random.default_rng(0).random(rows.shape) < 0.3, number, rows)
        assert_bitwise(WIDE, rows)


def test_lightgbm_in_float32_would_be_wrong(boosted: ChurnModel) -> None:
    # 65.975000000000009 is a threshold of prices: as float32 a price can change sides.
    rows = rows_on_thresholds(boosted, 3_000)
    exact, single = reference_engine(boosted), compiled_engine(boosted)
    rounded = Engine("float32", lambda matrix: single.probabilities(matrix.astype(np.float32).astype(np.float64)))

    assert compare(exact, single, rows).is_bitwise
    parity = compare(exact, rounded, rows)
    assert not parity.is_bitwise
    assert parity.equal_count < parity.row_count
    assert parity.largest_difference > 0


def test_extreme_margins_have_the_bits_of_xgboost() -> None:
    model = fit_model("xgboost", DATA, Policy(), {"rounds": 5})
    saved = json.loads(bytes(model.estimator.save_raw("json")))
    for tree in saved["learner"]["gradient_booster"]["model"]["trees"]:
        for node, left in enumerate(tree["left_children"]):
            if left < 0:
                tree["split_conditions"][node] *= 1_500.0
    extreme = ChurnModel("xgboost", ENCODER, xgboost.Booster(model_file=bytearray(json.dumps(saved).encode())))

    probabilities = extreme.probabilities(MATRIX)
    assert probabilities.min() < 1e-38
    assert probabilities.max() == 1.0
    assert_bitwise(extreme, MATRIX)


def test_extreme_scores_have_the_bits_of_lightgbm() -> None:
    model = trained_on(MATRIX)
    for leaf, value in enumerate((-800.0, 800.0, -40.0, 40.0)):
        model.estimator.set_leaf_output(0, leaf, value)

    probabilities = model.probabilities(MATRIX)
    assert (probabilities.min(), probabilities.max()) == (0.0, 1.0)
    assert_bitwise(model, MATRIX)


def test_a_model_of_single_leaves_compiles() -> None:
    model = trained_on(MATRIX, min_child_samples=10_000)

    assert forest_of(model).largest_split_count == 0
    assert_bitwise(model, MATRIX)


def test_neither_the_order_nor_the_number_of_rows_changes_a_bit(case: tuple[ChurnModel, str]) -> None:
    engine = compiled_engine(case[0])
    rows = blank_randomly(MATRIX, 3)
    expected = engine.probabilities(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    parts = [engine.probabilities(rows[start : start + 97]) for start in range(0, len(rows), 97)]

    np.testing.assert_array_equal(engine.probabilities(rows[order]), expected[order])
    np.testing.assert_array_equal(engine.probabilities(np.asfortranarray(rows)), expected)
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert engine.probabilities(rows[:0]).shape == (0,)


def test_several_threads_get_the_same_bits(case: tuple[ChurnModel, str]) -> None:
    engine = compiled_engine(case[0])
    parts = [blank_randomly(MATRIX, seed) for seed in range(16)]
    expected = [engine.probabilities(part) for part in parts]

    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            for answer, wanted in zip(threads.map(engine.probabilities, parts), expected, strict=True):
                np.testing.assert_array_equal(answer, wanted)


def test_kernels_let_go_of_the_gil_and_keep_the_order_of_sums() -> None:
    from numba.core.dispatcher import Dispatcher

    from churn.core import forest_kernels

    kernels = [value for value in vars(forest_kernels).values() if isinstance(value, Dispatcher)]

    assert len(kernels) > 5
    assert all(kernel.targetoptions["nogil"] and not kernel.targetoptions.get("fastmath") for kernel in kernels)


def test_one_corrupted_leaf_is_found_out(case: tuple[ChurnModel, str]) -> None:
    model, _ = case
    forest = forest_of(model)
    value = forest.value.copy()
    value[np.flatnonzero(forest.left < 0)[0]] += 1e-6
    corrupted = compile_forest(dataclasses.replace(forest, value=value))

    parity = compare(reference_engine(model), corrupted, MATRIX)

    assert not parity.is_bitwise
    assert parity.equal_count < parity.row_count
    assert 0 < parity.largest_difference < 1e-5


def test_each_way_to_compile_gives_the_same_bits(boosted: ChurnModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_on_thresholds(boosted, 2_000)
    by_tables = compiled_engine(boosted)
    monkeypatch.setattr("churn.core.engines.LARGEST_TABLE", 0)
    by_bit_vectors = compiled_engine(boosted)
    monkeypatch.setattr("churn.core.engines.LARGEST_BIT_VECTOR", 0)
    by_walking = compiled_engine(boosted)

    assert len({engine.name for engine in (by_tables, by_bit_vectors, by_walking)}) == 3
    assert compare(by_tables, by_bit_vectors, rows).is_bitwise
    assert compare(by_tables, by_walking, rows).is_bitwise


def test_a_probability_is_made_with_the_exponential_of_glibc() -> None:
    from churn.core import forest_kernels

    scores = np.random.default_rng(0).normal(0, 5, 20_000)
    expected = [1.0 / (1.0 + math.exp(-score)) for score in scores]

    np.testing.assert_array_equal(forest_kernels.sigmoid(scores, 1.0), expected)


def test_two_nan_are_equal_and_one_is_not() -> None:
    def engine(*answers: float) -> Engine:
        return Engine("fixed", lambda matrix: np.array(answers))

    rows = np.zeros((2, 19))
    assert compare(engine(0.5, np.nan), engine(0.5, np.nan), rows).is_bitwise
    one_sided = compare(engine(0.5, np.nan), engine(0.5, 0.25), rows)
    assert (one_sided.equal_count, one_sided.is_bitwise) == (1, False)
    assert np.isnan(one_sided.largest_difference)


def test_a_comparison_over_no_rows_proves_nothing(boosted: ChurnModel) -> None:
    parity = compare(reference_engine(boosted), compiled_engine(boosted), MATRIX[:0])

    assert parity.row_count == 0
    assert not parity.is_bitwise


@pytest.mark.parametrize("rows", [MATRIX[:, :-1], MATRIX[0], np.hstack([MATRIX, MATRIX])])
def test_a_matrix_of_another_shape_is_refused(boosted: ChurnModel, rows: Matrix) -> None:
    with pytest.raises(ValueError, match="19 features"):
        compiled_engine(boosted).probabilities(rows)


def lightgbm_with(**parameters: Any) -> Callable[[], ChurnModel]:
    return lambda: trained_on(MATRIX, **parameters)


def xgboost_with(labels: Any = DATA.labels, types: list[str] | None = None, **parameters: Any) -> ChurnModel:
    data = xgboost.DMatrix(MATRIX, labels, feature_types=types, enable_categorical=True)
    chosen = {"objective": "binary:logistic", "nthread": 1, **parameters}
    return ChurnModel("xgboost", ENCODER, xgboost.train(chosen, data, num_boost_round=3))


def forest_with(labels: Any = DATA.labels, *before: Any) -> ChurnModel:
    pipeline = make_pipeline(*before, RandomForestClassifier(3, max_depth=3)).fit(MATRIX, labels)
    return ChurnModel("random_forest", ENCODER, pipeline)


THREE = np.arange(len(MATRIX)) % 3
CATEGORIES = [16]  # PaymentMethod
NOT_COVERED: dict[str, tuple[str, Callable[[], ChurnModel]]] = {
    "logistic": ("no trees", lambda: fit_model("logistic", DATA, Policy())),
    "lightgbm categorical": (
        "splits of type ==",
        lightgbm_with(categorical_feature=CATEGORIES, feature_contri=[0.001] * 16 + [9.0, 0.001, 0.001]),
    ),
    "lightgbm linear": ("linear trees", lightgbm_with(linear_tree=True)),
    "lightgbm zero": ("Zero for missing", lightgbm_with(zero_as_missing=True)),
    "lightgbm forest": ("averages", lightgbm_with(boosting="rf", bagging_freq=1, bagging_fraction=0.5)),
    "lightgbm regression": ("objective regression", lightgbm_with(objective="regression")),
    "lightgbm cross entropy": ("objective cross_entropy", lightgbm_with(objective="cross_entropy")),
    "lightgbm classes": ("objective multiclass", lightgbm_with(objective="multiclass", num_class=3)),
    "xgboost regression": ("objective reg:squarederror", lambda: xgboost_with(objective="reg:squarederror")),
    "xgboost classes": ("multi:softprob", lambda: xgboost_with(THREE, objective="multi:softprob", num_class=3)),
    "xgboost dart": ("booster dart", lambda: xgboost_with(booster="dart")),
    "xgboost linear": ("booster gblinear", lambda: xgboost_with(booster="gblinear")),
    "xgboost outputs": ("more than one", lambda: xgboost_with(np.column_stack([DATA.labels] * 2))),
    "xgboost categorical": ("categorical", lambda: xgboost_with(types=["q"] * 16 + ["c"] + ["q"] * 2, max_depth=6)),
    "forest classes": ("classes", lambda: forest_with(THREE)),
    "forest labels": ("classes", lambda: forest_with(DATA.labels + 1)),
    "forest scaled": ("transforms", lambda: forest_with(DATA.labels, StandardScaler())),
    "forest outputs": ("more than one output", lambda: forest_with(np.column_stack([DATA.labels, THREE]))),
}


@pytest.mark.parametrize("name", NOT_COVERED)
def test_what_is_not_covered_is_refused_with_a_reason(name: str) -> None:
    reason, train = NOT_COVERED[name]

    with pytest.raises(CannotCompile, match=reason):
        compiled_engine(train())


def test_a_model_loads_without_numba() -> None:
    script = "import sys, churn.core.model, churn.core.engines, churn.core.contributions; print('numba' in sys.modules)"

    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "False"
