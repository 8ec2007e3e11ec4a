"""Frozen values that pass between layers."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

ExtractState = Literal["received", "held", "admitted", "refused"]
RunMode = Literal["full", "changed", "shadow"]
RunState = Literal["open", "scored", "checked", "published", "rejected", "superseded"]
DriftSource = Literal["customers", "requests"]
Severity = Literal["refuse", "quarantine", "warn"]


@dataclass(frozen=True)
class LandedFile:
    """A file in the landing place, known by the hash of its content.

    `content_hash` is the SHA-256 of the bytes as delivered, in hex; `snapshot_date` comes from its name,
    customers-YYYY-MM-DD.csv (.csv.gz, .parquet). `version` changes whenever the place where it lies says that the
    file did.
    """

    url: str
    snapshot_date: date
    content_hash: str
    byte_count: int
    version: str = ""

    @property
    def has_text(self) -> bool:
        """Whether its rows are text that can be kept as it was delivered."""
        return not self.url.endswith(".parquet")


@dataclass(frozen=True)
class Extract:
    """One landed file and what was decided about it.

    `held` is one for whose day another content was admitted; `replaces_extract_id` is the one that it took the
    place of, or was asked to. `data_docs` is the page of its validation, relative to the reports folder.
    """

    extract_id: int
    content_hash: str
    source_url: str
    snapshot_date: date
    state: ExtractState
    row_count: int | None
    admitted_count: int | None
    quarantined_count: int | None
    refusal: str | None
    data_docs: str | None = None
    replaces_extract_id: int | None = None


@dataclass(frozen=True)
class ExpectationResult:
    """What one expectation of a suite observed.

    `finding` says it in a sentence where it failed and numbers alone do not tell. `duration_seconds` is that of the
    whole pass that this expectation was part of, because a pass bundles its scans: it is never to be added up.
    """

    expectation: str
    column_name: str | None
    severity: Severity
    succeeded: bool
    unexpected_count: int | None
    observed_value: Any
    finding: str | None = None
    suite: str | None = None
    duration_seconds: float | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether it failed and the file must not be admitted."""
        return self.severity == "refuse" and not self.succeeded

    @property
    def sentence(self) -> str:
        """What was expected, of which column, and what was found."""
        if self.finding:
            return self.finding
        count = "" if self.unexpected_count is None else f" ({self.unexpected_count} values do not)"
        return f"{self.expectation.replace('_', ' ')} in {self.column_name or 'the table'}{count}"


@dataclass(frozen=True)
class Judgement:
    """What a suite found in one staged extract; `data_docs` is its page, relative to the reports folder."""

    results: tuple[ExpectationResult, ...] = ()
    data_docs: str | None = None


@dataclass(frozen=True)
class ExtractProfile:
    """What an admitted extract looks like, kept with it so that later ones are compared without reading it again.

    `quartiles` are the three of each number that is no flag; `shares` the share of rows with each value of a category,
    by column (of the planner's sample, at most 30,000 rows); `unknown_rates` the share of rows with a value outside the
    contract.
    """

    quartiles: dict[str, tuple[float, float, float]]
    shares: dict[str, dict[str, float]]
    unknown_rates: dict[str, float]


@dataclass(frozen=True)
class PastExtract:
    """An admitted extract of an earlier day; `profile` is None where it was admitted before profiles were kept."""

    extract_id: int
    snapshot_date: date
    row_count: int
    profile: ExtractProfile | None


@dataclass(frozen=True)
class ExtractArrival:
    """A staged extract beside those before it.

    `past` are admitted extracts of earlier days, newest first; `lost_count` of the `previous_count` customers of the
    newest are missing now; `same_content_date` is the latest earlier day that had this very content.
    """

    snapshot_date: date
    row_count: int
    past: tuple[PastExtract, ...]
    previous_count: int
    lost_count: int
    same_content_date: date | None


@dataclass(frozen=True)
class ExtractOutcome:
    """What one validation did with one landed file; `note` says it in a sentence."""

    extract: Extract
    results: tuple[ExpectationResult, ...]
    warnings: tuple[str, ...]
    note: str

    @property
    def data_docs(self) -> str | None:
        """The page of the validation, relative to the reports folder."""
        return self.extract.data_docs

    def summary(self) -> dict[str, Any]:
        """One row for people: the file, its verdict and its counts."""
        return {
            "extract_id": self.extract.extract_id,
            "file": self.extract.source_url,
            "snapshot_date": self.extract.snapshot_date,
            "state": self.extract.state,
            "rows": self.extract.row_count,
            "admitted": self.extract.admitted_count,
            "quarantined": self.extract.quarantined_count,
            "note": "; ".join((self.note, *self.warnings)),
        }


@dataclass(frozen=True)
class ModelVersion:
    """One registered version of the model `churn`."""

    version: int
    mlflow_run_id: str
    digest: str
    stage: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """What a model achieved on rows that it was not trained on.

    Rates and errors are between 0 and 1; `lift_10` is the churn rate of the tenth with the highest scores
    over the overall churn rate.
    """

    row_count: int
    churn_rate: float
    roc_auc: Interval
    pr_auc: float
    brier: float
    log_loss: float
    calibration_error: float
    lift_10: float
    capture_20: float


@dataclass(frozen=True)
class Rule:
    """One rule of a decision: what was asked, what was found, whether it holds."""

    name: str
    passed: bool
    observed: float | int | str | None
    required: float | int | str | None


@dataclass(frozen=True)
class Decision:
    """The outcome of a gate with every rule and number."""

    approved: bool
    reason: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class ScoringRun:
    """One scoring of one snapshot with one model version, under the policy that was in force when it was opened.

    `base_run_id` is the run whose scores mode `changed` takes over, `compared_run_id` the one that
    `probability_change` is against. `percentile_cuts` are the 99 probabilities that divide the run into hundredths.
    """

    scoring_run_id: int
    extract_id: int
    snapshot_date: date
    model_version: int
    model_digest: str
    policy: dict[str, Any]
    mode: RunMode
    state: RunState
    base_run_id: int | None
    compared_run_id: int | None
    customer_count: int | None
    scored_count: int | None
    mean_probability: float | None
    percentile_cuts: list[float] | None
    explained_count: int | None
    checks: dict[str, Any] | None
    rejection: str | None
    opened_by: str
    opened_at: datetime
    published_at: datetime | None
    closed_at: datetime | None
    scores_dropped_at: datetime | None


@dataclass(frozen=True)
class ScoringPart:
    """A key range of a run: customers from `from_key` (None: the first) to just before `before_key` (None: the last).

    `attempt` is the fencing token: only the attempt that claimed the part last can finish it.
    `carried_count` of its rows were taken over unchanged from the base run. Whoever has the probability
    `explained_from` or more got reasons with the score; None: nobody did.
    """

    scoring_run_id: int
    part_number: int
    from_key: str | None
    before_key: str | None
    attempt: int
    engine: str | None = None
    model_digest: str | None = None
    row_count: int | None = None
    carried_count: int | None = None
    unknown_counts: dict[str, int] | None = None
    explained_from: float | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class ScoreSummary:
    """What a loaded run looks like: what the checks before publishing are about.

    `customer_count` is the number of customers of the snapshot, `same_customers` whether the run holds exactly
    those. `cuts` are the run's percentile cuts; probabilities are 0..1.
    """

    row_count: int
    customer_count: int
    same_customers: bool
    lowest: float | None
    highest: float | None
    mean: float | None
    cuts: tuple[float, ...]
    model_digests: tuple[str, ...]


@dataclass(frozen=True)
class ScoreBaseline:
    """What the scores of a run are compared with: earlier published runs, or the model's own reference.

    `of` says which in words; `widened` that it is of another model version, so that the bounds are wider.
    """

    of: str
    mean: float
    cuts: tuple[float, ...]
    widened: bool


@dataclass(frozen=True)
class EngineDecision:
    """Whether the compiled engine of a model may serve, and what it was compared on.

    Rates are rows a second of one thread on the machine that compared.
    """

    model_digest: str
    engine: str
    engine_version: int
    admitted: bool
    reason: str
    compared_count: int
    largest_difference: float | None
    rows_a_second: float | None
    reference_rows_a_second: float | None


@dataclass(frozen=True)
class Publication:
    """One entry of the ledger of what readers were shown, and why."""

    publication_id: int
    scoring_run_id: int
    previous_run_id: int | None
    action: Literal["publish", "force", "rollback"]
    reason: str | None
    published_by: str
    published_at: datetime


@dataclass(frozen=True)
class ColumnDrift:
    """The drift of one column: the test's statistic against its threshold."""

    column_name: str
    method: str
    statistic: float
    threshold: float
    drifted: bool


@dataclass(frozen=True)
class DriftVerdict:
    """What a drift report concludes."""

    verdict: Literal["stable", "drifted", "not enough rows", "no reference"]
    drifted_rate: float | None
    reason: str


@dataclass(frozen=True)
class Notice:
    """One message to people: what happened, what it means, what to do."""

    title: str
    happened: str
    meaning: str
    next_step: str


@dataclass(frozen=True)
class StoredFile:
    """A file of a backup: SHA-256 in hex, and size in bytes."""

    sha256: str
    size: int


Record = TypeVar("Record")


def as_json(record: object) -> Any:
    """The record as values that JSON knows: dates as ISO text, records as objects. Lists of records work too."""
    if isinstance(record, list):
        return [as_json(each) for each in record]
    return TypeAdapter(type(record)).dump_python(record, mode="json")


def from_json(kind: type[Record], values: object) -> Record:
    """The record that `as_json` was given. Raises pydantic's ValidationError where it is not one."""
    return TypeAdapter(kind).validate_python(values)
