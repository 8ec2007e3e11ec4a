"""An old score, explained: recomputed from history with the recorded version, held against what was published."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from churn.columns import KEY
from churn.core.reasons import top_reasons
from churn.db import customers, scores, scoring_runs
from churn.errors import NotFound
from churn.jobs.explain_scores import explainer_of
from churn.services import Services


@dataclass(frozen=True)
class ExplainedScore:
    """A published score and what becomes of it when it is computed again.

    `stored` is None where policy has dropped the scores of that day; then `equal` is None too. `contributions`
    holds every feature that moved the score, strongest first, on the model's raw scale.
    """

    customer_id: str
    snapshot_date: date
    scoring_run_id: int
    model_version: int
    trained_on: str | None
    code_version: str | None
    stored: float | None
    recomputed: float
    equal: bool | None
    reasons: tuple[str, ...]
    contributions: dict[str, float]
    unknown_fields: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """The same as one flat row for people and programs."""
        verdict = {None: "its score was dropped by policy", True: "equal", False: "DIFFERENT"}[self.equal]
        return asdict(self) | {
            "equal": verdict,
            "reasons": "; ".join(self.reasons) or None,
            "contributions": ", ".join(f"{name} {value:+.4f}" for name, value in self.contributions.items()),
            "unknown_fields": ", ".join(self.unknown_fields) or None,
        }


def explain_customer(services: Services, customer_id: str, day: date | None = None) -> ExplainedScore:
    """Recompute the score that a customer had on a day (the one that readers see now, where left out).

    Features come from the snapshot that the run scored, the model is the version it recorded, digest verified.
    Raises NotFound where nothing was published for the day or the customer was not in its snapshot.
    """
    with services.database.transaction() as connection:
        run = scoring_runs.of_date(connection, day) if day else scoring_runs.published(connection)
        if run is None:
            raise NotFound("Nothing has been published yet.", "Run `churn score run`.")
        frame = customers.read_one(connection, run.extract_id, customer_id)
        stored = scores.find(connection, run, customer_id)
    if frame.empty:
        raise NotFound(
            f"Customer {customer_id} is not in the snapshot of {run.snapshot_date}.",
            "Correct the id, or name another day with --date.",
        )
    version = services.registry.version(run.model_version)
    model = services.registry.load(run.model_version, expected_digest=run.model_digest)
    features = frame.drop(columns=KEY.name)
    recomputed = float(model.predict(features)[0])
    matrix = model.encoder.encode(features)
    contributions = explainer_of(services, run.model_version, model).contributions(matrix)
    moved = dict(zip(model.encoder.names, contributions[0].tolist(), strict=True))
    return ExplainedScore(
        customer_id=customer_id,
        snapshot_date=run.snapshot_date,
        scoring_run_id=run.scoring_run_id,
        model_version=run.model_version,
        trained_on=version.tags.get("snapshot_date"),
        code_version=version.tags.get("code_version"),
        stored=stored.churn_probability if stored else None,
        recomputed=recomputed,
        equal=stored.churn_probability == recomputed if stored else None,
        reasons=tuple(top_reasons(model.encoder, matrix, contributions).of(0)),
        contributions=dict(sorted(moved.items(), key=lambda item: -abs(item[1]))),
        unknown_fields=tuple(name for name, cell in zip(model.encoder.names, matrix[0], strict=True) if np.isnan(cell)),
    )
