"""WHAT was decided: every threshold and cost, in one object that is stored with each run it decided."""

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from churn.errors import ConfigurationError

RiskLevel = Literal["low", "medium", "high"]
PromotionMode = Literal["auto", "approve"]
Action = Literal["onboarding", "contract", "tech_support", "payment_method", "offer"]


class Policy(BaseModel):
    """The decisions that a telecom takes about its churn system.

    Shares are between 0 and 1, periods are in days. Override any of them in a TOML file named by
    CHURN_POLICY_FILE; what is left out keeps its default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon_days: int = Field(30, ge=1, description="Days after a snapshot in which leaving counts as churn.")

    medium_risk_from: float = Field(0.30, ge=0, le=1, description="Probability from which a risk is medium.")
    high_risk_from: float = Field(0.60, ge=0, le=1, description="Probability from which a risk is high.")

    actions_at_medium_risk: tuple[Action, ...] = Field(
        ("onboarding", "contract", "tech_support", "payment_method"),
        description="What to do at medium risk: the first that fits the customer's data (`churn/core/actions.py`).",
    )
    actions_at_high_risk: tuple[Action, ...] = Field(
        ("onboarding", "contract", "offer"), description="The same at high risk; `offer` fits everybody."
    )
    onboarding_months: int = Field(3, ge=0, description="Tenure in months up to which `onboarding` fits.")

    part_row_count: int = Field(
        5_000_000, ge=1, description="Customers in one part of a scoring run; above it the run is split."
    )
    reasons_top_deciles: int = Field(1, ge=0, le=10, description="Deciles whose customers get reasons, from the top.")
    reasons_for_all_up_to: int = Field(
        200_000, ge=0, description="Up to this many customers all get reasons, where the model explains fast."
    )
    baseline_run_count: int = Field(7, ge=1, description="Published runs that a new one is compared with.")
    maximum_mean_shift: float = Field(
        0.05, gt=0, le=1, description="Change of the mean probability above which a run is rejected."
    )
    maximum_decile_shift: float = Field(
        0.10, gt=0, le=1, description="Change of the share of a baseline decile above which a run is rejected."
    )
    promotion_widening: float = Field(
        2.0, ge=1, description="Factor on both bounds where the baseline is of another model version."
    )
    scores_kept_days: int = Field(90, ge=31, description="Days for which published scores are kept.")
    unpublished_kept_days: int = Field(7, ge=0, description="The same for rejected, superseded and shadow runs.")
    takeover_after_seconds: float = Field(
        300, ge=1, description="Standstill after which a worker is taken for dead and its part is taken over."
    )

    quarantine_cap_rate: float = Field(
        0.05, ge=0, le=1, description="Above this share of bad rows the file is refused instead."
    )
    history_extract_count: int = Field(7, ge=1, description="Extracts of earlier days that a new one is compared with.")
    minimum_row_count_ratio: float = Field(
        0.5, ge=0, le=1, description="Rows over their median in those extracts, below which a file is refused."
    )
    maximum_row_count_ratio: float = Field(2.0, ge=1, description="The same ratio above which a file is refused.")
    maximum_lost_customers_rate: float = Field(
        0.30, ge=0, le=1, description="Share of the previous customers missing, above which a file is refused."
    )
    fresh_extract_days: int = Field(3, ge=0, description="Age above which a file is warned about.")
    unusual_from_robust_z: float = Field(
        3.5, gt=0, description="Modified z-score above which a median or share is warned about."
    )
    unusual_needs_extracts: int = Field(5, ge=3, description="Fewer earlier extracts than this give no such warning.")
    maximum_doubtful_bills_rate: float = Field(
        0.01, ge=0, le=1, description="Share of doubtful TotalCharges above which a file is warned about."
    )

    holdout_rate: float = Field(0.20, gt=0, lt=1, description="Share of customers that no model is trained on.")
    training_snapshot_count: int = Field(
        6, ge=1, le=24, description="Snapshots learned from and judged on at most, a horizon or more apart."
    )
    fold_count: int = Field(5, ge=2, description="Outer folds, in which candidates are judged.")
    nested_repeat_count: int = Field(2, ge=1, description="Repeats of the outer folds, each time divided anew.")
    nested_trial_count: int = Field(8, ge=1, description="Trials of the search inside each outer fold.")
    search_fold_count: int = Field(3, ge=2, description="Folds in which a search judges its trials.")
    search_trial_count: int = Field(30, ge=1, description="Trials of a candidate's search for parameters.")
    search_seconds: float = Field(120, gt=0, description="Seconds after which a search begins no further trial.")
    minimum_class_count: int = Field(50, ge=10, description="Fewest churners and stayers to train and judge on.")
    minimum_auc: float = Field(0.70, ge=0.5, le=1, description="Holdout ROC-AUC below which nothing is promoted.")
    maximum_calibration_error: float = Field(
        0.08, gt=0, le=1, description="Holdout expected calibration error above which nothing is promoted."
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of every interval.")

    promotion_mode: PromotionMode = Field(
        "auto", description="Whether an approved challenger is promoted at once (auto) or by a person (approve)."
    )
    production_maximum_age_days: float = Field(
        90, gt=0, description="Days after which a challenger that is not worse replaces Production."
    )
    minimum_auc_gain: float = Field(
        0.001, ge=0, lt=0.5, description="Gain of ROC-AUC that a challenger must exceed at the low end."
    )
    auc_margin: float = Field(
        0.01, ge=0, lt=0.5, description="Loss of ROC-AUC that is small enough to be called not worse."
    )
    maximum_profit_loss_rate: float = Field(
        0.03, ge=0, lt=1, description="Share of Production's profit that a challenger may lose at the low end."
    )
    profit_resample_count: int = Field(500, ge=100, description="Resamples behind the interval of a profit.")
    maximum_slice_loss: float = Field(
        0.03, ge=0, lt=0.5, description="Loss of ROC-AUC in a slice of customers that keeps Production if certain."
    )
    slice_minimum_class_count: int = Field(
        30, ge=2, description="Fewer churners or stayers than this and a slice is not judged."
    )
    maximum_latency_seconds: float = Field(
        0.25, gt=0, description="Median time of one prediction above which nothing is promoted."
    )
    minimum_rows_per_second: float = Field(
        1_000, gt=0, description="Predictions a second in bulk below which nothing is promoted."
    )
    maximum_artifact_bytes: int = Field(
        50_000_000, gt=0, description="Size of a model's files above which nothing is promoted."
    )

    customer_value_amount: float = Field(200.0, gt=0, description="What a customer who stays is worth.")
    offer_cost_amount: float = Field(10.0, ge=0, description="What a retention offer costs when it is taken.")
    contact_cost_amount: float = Field(1.0, ge=0, description="What it costs to contact a customer.")
    acceptance_alpha: float = Field(6.0, gt=0, description="First shape of the share of churners who accept (beta).")
    acceptance_beta: float = Field(14.0, gt=0, description="Second shape of that share.")

    drift_sample_count: int = Field(5_000, ge=100, description="Customers in the sample of one drift report.")
    drift_minimum_count: int = Field(200, ge=1, description="Fewer customers than this give no verdict.")
    drift_requests_hours: float = Field(
        24, gt=0, description="Hours of answers of the API that are held against the reference."
    )
    drifted_column_rate: float = Field(0.30, gt=0, le=1, description="Share of drifted columns that is drift.")
    drifted_reports_needed: int = Field(2, ge=1, description="k: drifted reports that ask for a retraining ...")
    drifted_reports_of: int = Field(3, ge=1, description="n: ... among this many latest reports.")
    retraining_cooldown_days: float = Field(7, ge=0, description="Shortest time between retraining requests.")
    drift_reports_kept: int = Field(72, ge=1, description="HTML drift reports that are kept.")

    api_requests_per_minute: int = Field(
        60_000, ge=1, description="Answers a minute that a key may have of each worker, unless it has its own limit."
    )
    api_key_grace_minutes: float = Field(
        15, ge=0, description="How long known API keys are honoured while the database is away."
    )
    api_log_buffer_count: int = Field(
        20_000, ge=1, description="Answers that a worker holds back for the database before it drops them, counted."
    )
    api_requests_kept_days: int = Field(30, ge=1, le=3650, description="Days for which the request log is kept.")
    challenger_share: float = Field(
        0.0, ge=0, le=1, description="Share of customers who are answered by the staging version."
    )
    shadow_scoring: bool = Field(False, description="Whether the staging version scores beside, without answering.")

    seed: int = Field(20_261, description="Seed of every random choice in training.")

    @model_validator(mode="after")
    def _offer_pays(self) -> Self:
        if self.offer_cost_amount >= self.customer_value_amount:
            raise ValueError("offer_cost_amount must be less than customer_value_amount")
        return self

    def risk_level(self, probability: float) -> RiskLevel:
        """Name the risk of a churn probability (0..1)."""
        if probability >= self.high_risk_from:
            return "high"
        return "medium" if probability >= self.medium_risk_from else "low"

    @classmethod
    def load(cls, path: Path | None) -> "Policy":
        """Read the policy from a TOML file, or take the defaults where no file is named.

        Raises ConfigurationError naming the file and the field.
        """
        if path is None:
            return cls()
        try:
            return cls.model_validate(tomllib.loads(path.read_text("utf-8")))
        except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
            raise ConfigurationError(
                f"The policy file {path} cannot be used: {error}.", "Correct it or unset CHURN_POLICY_FILE."
            ) from error
