"""The running API asked about customers of the night: it must answer what readers of the table see."""

from dataclasses import dataclass
from typing import Any

import httpx
import pandas as pd

from churn.columns import FEATURES, KEY
from churn.core.smoke_test import TOLERANCE
from churn.core.training import SCORE_COLUMN
from churn.db import customers, scoring_runs
from churn.errors import ConfigurationError, NotFound, PlatformError
from churn.services import Services

SECONDS = 60.0
_SEED = 20_261


@dataclass(frozen=True)
class TriedApi:
    """How the answers compare with the published scores, or with those of the version that answered."""

    url: str
    answered_by: list[int]
    published_by: int
    customer_count: int
    different_count: int
    largest_difference: float

    @property
    def is_equal(self) -> bool:
        """Whether every answer is the expected one."""
        return self.different_count == 0


def try_api(services: Services, url: str, key: str | None, count: int) -> TriedApi:
    """Ask the API at `url` in one batch about up to `count` published customers, drawn at random.

    `key` needs the scope predict where the API asks for keys. Raises NotFound before the first night,
    ConfigurationError where no address is known, PlatformError where the API does not answer or refuses.
    """
    if not url:
        raise ConfigurationError("Nobody said where the API is.", "Set CHURN_API_URL, or name it with --url.")
    with services.database.transaction() as connection:
        run = scoring_runs.published(connection)
        if run is None:
            raise NotFound("Nothing has been published yet.", "Run `churn score run`.")
        frame = customers.sample_with_scores(connection, run.extract_id, count, _SEED, run.scoring_run_id)
    answers = pd.DataFrame(_ask(url, key, _records(frame)), columns=["model_version", SCORE_COLUMN])
    expected = _expected(services, run.model_version, frame, answers["model_version"])
    differences = (answers[SCORE_COLUMN] - expected).abs()
    return TriedApi(
        url=url,
        answered_by=sorted({int(version) for version in answers["model_version"].dropna()}),
        published_by=run.model_version,
        customer_count=len(frame),
        different_count=int((~(differences <= TOLERANCE)).sum()),
        largest_difference=float(differences.max()),
    )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    names = [column.name for column in FEATURES]
    rows = frame[[KEY.name, *names]].astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items() if value is not None} for row in rows]


def _expected(services: Services, published_by: int, frame: pd.DataFrame, versions: pd.Series) -> pd.Series:
    """The published score of each customer, or what the version that answered says itself where it is another."""
    expected = frame[SCORE_COLUMN].copy()
    for version in set(versions.dropna().astype(int)) - {published_by}:
        own = versions == version
        model = services.registry.load(version)
        expected[own] = model.predict(frame.loc[own].drop(columns=[KEY.name, SCORE_COLUMN]))
    return expected


def _ask(url: str, key: str | None, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answer to each record in order; a refused one has neither version nor probability."""
    headers = {"X-API-Key": key} if key else {}
    try:
        answer = httpx.post(f"{url.rstrip('/')}/v1/predict/batch", json=records, headers=headers, timeout=SECONDS)
    except httpx.HTTPError as error:
        raise PlatformError(f"The API at {url} does not answer: {error}.", "Start it, or correct --url.") from error
    if answer.status_code != httpx.codes.OK:
        raise PlatformError(f"The API at {url} answered {answer.status_code}: {answer.text[:300]}.", "Read its log.")
    return list(answer.json()["rows"])
