"""Every hour: how far is what callers asked the API about from what the Production model learned from?

What callers ask about is theirs to choose: a campaign or a test is no change of the customers. So these reports are
shown, and never ask for a retraining.
"""

from datetime import timedelta

import pandas as pd

from churn import drift_report
from churn.columns import FEATURES
from churn.core.drift import drift_verdict
from churn.db import answered_requests
from churn.db.migrations import require_current_schema
from churn.jobs.report_drift import DriftOutcome, find_production, record_report
from churn.records import DriftVerdict, ModelVersion
from churn.services import Services

WHAT = "answers of the API"


def report_request_drift(services: Services) -> DriftOutcome:
    """Compare a sample of the latest answers of Production with its reference and record the numbers.

    Answers of `drift_requests_hours` count. A field that fewer than `drift_minimum_count` of them gave is not judged;
    no model or too few answers is a verdict of its own, not a failure.
    Raises RegistryUnavailable, DatabaseUnavailable.
    """
    require_current_schema(services.database)
    model = find_production(services)
    if model is None:
        verdict = DriftVerdict("no reference", None, "There is no Production model, so nothing to compare with.")
        return record_report(services, "requests", None, None, 0, 0, verdict, None)
    answered = _sample(services, model)
    judged = _without_rare_fields(answered, services.policy.drift_minimum_count)
    if judged.columns.drop(drift_report.SCORE).empty:
        verdict = drift_verdict((), len(answered), services.policy, WHAT)
        return record_report(services, "requests", None, model, len(answered), 0, verdict, None)
    reference = services.registry.load_reference(model.version)
    report = drift_report.compare(reference, judged, services.policy.drifted_column_rate)
    verdict = drift_verdict(report.columns, len(answered), services.policy, WHAT)
    return record_report(services, "requests", None, model, len(answered), len(reference), verdict, report)


def _sample(services: Services, model: ModelVersion) -> pd.DataFrame:
    """What was asked about and answered by this version in the latest hours: features and churn_probability."""
    policy = services.policy
    window = timedelta(hours=policy.drift_requests_hours)
    with services.database.transaction() as connection:
        return answered_requests.sample_recent(
            connection, window, policy.drift_sample_count, policy.seed, model.version
        )


def _without_rare_fields(answered: pd.DataFrame, needed: int) -> pd.DataFrame:
    """Without the fields that too few callers gave: the distance of a handful of values is chance."""
    rare = [column.name for column in FEATURES if answered[column.name].notna().sum() < needed]
    return answered.drop(columns=rare)
