"""After a release: the next night holds who was released, and no run that lacks them is published any more."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from churn.db import quarantined_rows
from churn.errors import RunNotOpen, RunRejected
from churn.jobs.check_scores import check_scores
from churn.jobs.publish_scores import publish_scores
from churn.jobs.release_rows import Release, release_rows
from churn.jobs.score_customers import open_run, parts_of, score_customers
from churn.jobs.score_part import score_part
from churn.jobs.validate_customers import validate_customers
from churn.records import Extract, ScoringRun
from churn.services import Services
from churn.simulator import write_extract
from tests.jobs import DAY, admit_simulated, promote_model
from tests.nights import loaded_rows, published, run_of

COUNT = 600
BAD = [3, 50, 599]


@dataclass(frozen=True)
class Quarantined:
    """An admitted extract with three rows in quarantine, and the file that corrects them."""

    extract: Extract
    corrected: Path

    def release(self, services: Services) -> Release:
        return release_rows(services, self.extract.extract_id, self.corrected)


@pytest.fixture
def quarantined(services: Services, tmp_path: Path) -> Quarantined:
    path = Path(services.landing.url_of(DAY))
    path.parent.mkdir(parents=True)
    write_extract(path, COUNT, 1)
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.iloc[BAD].assign(line_number=[n + 2 for n in BAD]).to_csv(tmp_path / "corrected.csv", index=False)
    rows.loc[BAD, "tenure"] = "unknown"
    rows.to_csv(path, index=False)
    (outcome,) = validate_customers(services, str(path))
    assert outcome.extract.quarantined_count == len(BAD)
    promote_model(services)
    return Quarantined(outcome.extract, tmp_path / "corrected.csv")


def score_parts(services: Services, run: ScoringRun) -> None:
    for part in parts_of(services, run.scoring_run_id):
        score_part(services, run.scoring_run_id, part.part_number)


def test_the_night_after_a_release_scores_everyone(services: Services, quarantined: Quarantined) -> None:
    without = score_customers(services)
    assert without.scored_count == COUNT - len(BAD)
    assert score_customers(services) == without
    before = published(services.database)

    note = "; ".join(quarantined.release(services).notes)

    assert f"run {without.scoring_run_id} is published without them" in note
    assert f"churn score run --date {DAY}" in note
    assert published(services.database).equals(before)
    complete = score_customers(services)
    assert (complete.state, complete.scored_count, complete.customer_count) == ("published", COUNT, COUNT)
    assert run_of(services, without.scoring_run_id).state == "superseded"
    assert score_customers(services) == complete
    assert score_customers(services, "changed") == complete
    table = published(services.database)
    assert len(table) == COUNT
    both = table.merge(before, on="customer_id", suffixes=("", "_before"))
    assert both.churn_probability.tolist() == both.churn_probability_before.tolist()


def test_the_next_day_starts_from_a_run_that_lacks_the_released_and_misses_nobody(
    services: Services, quarantined: Quarantined
) -> None:
    without = score_customers(services)
    quarantined.release(services)
    admit_simulated(services, COUNT, DAY + timedelta(days=1))
    changed = score_customers(services, "changed")
    assert (changed.base_run_id, changed.scored_count) == (without.scoring_run_id, COUNT)
    (part,) = parts_of(services, changed.scoring_run_id)
    assert part.carried_count == COUNT - len(BAD)


def test_a_run_that_was_under_way_is_rejected_and_the_next_one_is_whole(
    services: Services, quarantined: Quarantined
) -> None:
    run = open_run(services)
    score_parts(services, run)
    note = "; ".join(quarantined.release(services).notes)
    assert f"run {run.scoring_run_id} is under way without them and will not be published" in note
    with pytest.raises(RunRejected):
        check_scores(services, run.scoring_run_id)
    whole = score_customers(services)
    assert whole.scoring_run_id != run.scoring_run_id
    assert len(published(services.database)) == COUNT


def test_a_run_that_was_checked_before_the_release_is_not_published_after_it(
    services: Services, quarantined: Quarantined
) -> None:
    run = open_run(services)
    score_parts(services, run)
    check_scores(services, run.scoring_run_id)
    quarantined.release(services)
    with pytest.raises(RunNotOpen, match="were released into the extract"):
        publish_scores(services, run.scoring_run_id)
    assert published(services.database).empty
    assert run_of(services, run.scoring_run_id).state == "superseded"
    assert score_customers(services).scored_count == COUNT


def test_a_released_night_holds_the_bits_of_one_without_quarantine(
    services: Services, quarantined: Quarantined
) -> None:
    quarantined.release(services)
    released = loaded_rows(services.database, score_customers(services))
    admit_simulated(services, COUNT, DAY + timedelta(days=1))
    assert loaded_rows(services.database, score_customers(services)) == released
    with services.database.transaction() as connection:
        assert quarantined_rows.first(connection, quarantined.extract.extract_id, None) == []
