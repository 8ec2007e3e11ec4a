"""The policy is one object: defaults, overridden by a file, wrong values named."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from churn.errors import ConfigurationError
from churn.policy import Policy


def test_a_file_overrides_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("high_risk_from = 0.5\n")
    assert Policy.load(file) == Policy(high_risk_from=0.5)


@pytest.mark.parametrize("text", ["high_risk = 0.5", "high_risk_from = 2", "high_risk_from = ", "fold_count = 'x'"])
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"policy\.toml"):
        Policy.load(file)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        Policy.load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("probability", "level"),
    [(0.0, "low"), (0.2999, "low"), (0.3, "medium"), (0.5999, "medium"), (0.6, "high"), (1.0, "high")],
)
def test_a_risk_level_starts_at_its_bound(probability: float, level: str) -> None:
    assert Policy().risk_level(probability) == level


def test_a_policy_cannot_be_changed_while_it_is_in_force() -> None:
    with pytest.raises(ValidationError):
        Policy().seed = 1  # type: ignore[misc]
