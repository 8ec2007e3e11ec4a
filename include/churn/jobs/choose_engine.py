"""Who predicts: the library's own predictor is the reference; a compiled engine serves once it gave the same bits."""

import logging
import time

import numpy as np

from churn.core.candidates import blank_randomly
from churn.core.engines import Engine, compare, compiled_engine, reference_engine
from churn.core.features import FeatureEncoder, Matrix
from churn.core.forest import CannotCompile
from churn.core.model import ChurnModel
from churn.db import engines
from churn.records import EngineDecision
from churn.services import Services

log = logging.getLogger(__name__)

ENGINE_VERSION = 2  # raise it with any change to core/forest*.py: every model is compared anew
COMPARED_COUNT = 100_000  # simulated customers, besides the model's reference
SPOT_CHECK_COUNT = 2_000  # on each worker, because another machine is another processor
_SEED = 20_261


def choose_engine(services: Services, model_version: int, model_digest: str, model: ChurnModel) -> Engine:
    """The fastest engine that is known to give the model's own bits; any doubt means the reference, with a warning."""
    reference = reference_engine(model)
    decision = admit_engine(services, model_version, model_digest, model)
    if not decision.admitted:
        # Nothing to compile is no doubt; a compiled engine that failed its comparison is.
        level = logging.WARNING if decision.compared_count else logging.INFO
        log.log(level, "%s predicts: %s", reference.name, decision.reason)
        return reference
    compiled = compiled_engine(model)
    parity = compare(reference, compiled, _probes(model.encoder))
    if not parity.is_bitwise:
        log.warning("%s predicts: %s gives other bits on this machine.", reference.name, compiled.name)
        return reference
    return compiled


def admit_engine(services: Services, model_version: int, model_digest: str, model: ChurnModel) -> EngineDecision:
    """Decide once for a model whether its compiled engine may serve: the same bits on every row, and faster.

    Compared on the reference that travels with the model, complete and with fields blanked, and on 100,000
    simulated customers. The decision is kept in the database, where every worker finds it.
    """
    with services.database.transaction() as connection:
        known = engines.find(connection, model_digest, ENGINE_VERSION)
    if known is not None:
        return known
    from churn.simulator import simulate  # brings pandas, which a worker that finds the decision does not need

    simulated = np.vstack([model.encoder.encode(frame) for frame in simulate(COMPARED_COUNT, _SEED)])
    known_rows = model.encoder.encode(services.registry.load_reference(model_version))
    rows = np.vstack([known_rows, blank_randomly(known_rows, _SEED), simulated])
    decision = _decide(model_digest, model, rows)
    with services.database.transaction() as connection:
        engines.record(connection, decision)
    log.info("Engine of model %s: %s", model_digest[:12], decision.reason)
    return decision


def _decide(model_digest: str, model: ChurnModel, rows: Matrix) -> EngineDecision:
    try:
        compiled = compiled_engine(model)
    except CannotCompile as error:
        return EngineDecision(
            model_digest, reference_engine(model).name, ENGINE_VERSION, False, f"{error}", 0, None, None, None
        )
    reference = reference_engine(model)
    parity = compare(reference, compiled, rows)
    rate, reference_rate = _rows_a_second(compiled, rows), _rows_a_second(reference, rows)
    differing = parity.row_count - parity.equal_count
    if not parity.is_bitwise:
        reason = f"{compiled.name} gives other bits on {differing} of {parity.row_count} rows."
    elif rate <= reference_rate:
        reason = f"{compiled.name} is not faster: {rate:,.0f} rows a second against {reference_rate:,.0f}."
    else:
        times = rate / reference_rate
        reason = f"{compiled.name} gives the same bits on {parity.row_count} rows, {times:.1f} times as fast."
    admitted = parity.is_bitwise and rate > reference_rate
    return EngineDecision(
        model_digest, compiled.name, ENGINE_VERSION, admitted, reason,
        parity.row_count, parity.largest_difference, rate, reference_rate,
    )  # fmt: skip


def _rows_a_second(engine: Engine, rows: Matrix) -> float:
    started = time.perf_counter()
    engine.probabilities(rows)
    return len(rows) / (time.perf_counter() - started)


def _probes(encoder: FeatureEncoder) -> Matrix:
    """Rows of any values that an encoder can give: every category, amounts on a grid of 0.05, unknown fields."""
    random = np.random.default_rng(_SEED)
    columns = [
        random.integers(0, len(column.categories) if column.categories else 2_500, SPOT_CHECK_COUNT)
        * (1.0 if column.categories else 0.05)
        for column in encoder.columns
    ]
    return blank_randomly(np.ascontiguousarray(np.column_stack(columns)), _SEED)
