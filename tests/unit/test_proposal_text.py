"""What a person reads before answering: every rule, every interval, nothing that was not measured."""

from churn.db.promotions import Entry
from churn.jobs.present_proposal import describe_proposal

AUC = {"value": 0.85123, "low": 0.8271, "high": 0.8752}
GAIN = {"value": 0.0112, "low": 0.0031, "high": 0.0193}
EVIDENCE = {
    "holdout": {"roc_auc": AUC, "calibration_error": 0.0301},
    "production_holdout": {"roc_auc": {"value": 0.84, "low": 0.816, "high": 0.864}, "calibration_error": 0.0402},
    "comparison": {
        "auc_difference": GAIN,
        "profit_difference": {"value": 0.21, "low": -0.02, "high": 0.44},
        "production_profit": 12.3,
        "slices": [
            {"name": "Contract = One year", "churner_count": 41, "stayer_count": 310, "difference": GAIN},
            {"name": "tenure 0 to 6", "churner_count": 12, "stayer_count": 9, "difference": None},
        ],
    },
    "rules": [
        {"name": "holdout AUC", "passed": True, "observed": 0.85123, "required": 0.7},
        {"name": "odd | name", "passed": False, "observed": None, "required": "every number finite"},
    ],
}


def entry(evidence: dict[str, object], previous: int | None) -> Entry:
    return Entry(31, "proposed", 5, previous, "The challenger is better.", evidence)


def test_every_rule_is_shown_with_what_was_observed_and_required() -> None:
    text = describe_proposal(entry(EVIDENCE, 4))
    assert "**Version 5** may take the place of version 4." in text
    assert "The challenger is better." in text
    assert "| holdout AUC | yes | 0.8512 | 0.7 |" in text
    assert "| odd \\| name | **no** | - | every number finite |" in text
    assert "Ledger entry 31" in text


def test_intervals_money_and_slices_are_shown_beside_production() -> None:
    text = describe_proposal(entry(EVIDENCE, 4), "http://mlflow.example/#/runs/0a1b")
    assert "| roc auc | 0.8512 (0.8271 to 0.8752) | 0.84 (0.816 to 0.864) |" in text
    assert "| auc difference | 0.0112 (0.0031 to 0.0193) | - |" in text
    assert "| profit difference | 0.21 (-0.02 to 0.44) | - |" in text
    assert "| Contract = One year | 41 | 310 | 0.0112 (0.0031 to 0.0193) |" in text
    assert "| tenure 0 to 6 | 12 | 9 | - |" in text
    assert "](http://mlflow.example/#/runs/0a1b)" in text


def test_a_first_version_is_shown_without_a_comparison() -> None:
    alone = {**EVIDENCE, "production_holdout": None, "comparison": None}
    text = describe_proposal(entry(alone, None))
    assert "no version serves yet" in text
    assert "| roc auc | 0.8512 (0.8271 to 0.8752) | - |" in text
    assert "slice" not in text
    assert "MLflow" not in text
