"""The judge of a run as a process of its own."""

from pathlib import Path

import pytest

from churn.errors import ConfigurationError
from churn.jobs.score_customers import score_customers
from churn.run_judge import RunJudge
from churn.services import Services
from tests.jobs import admit_simulated, promote_model


def address(services: Services, scoring_run_id: int) -> str:
    return services.database.sqlalchemy_url_with({"churn.checked_run_id": str(scoring_run_id)})


def test_the_process_finds_what_the_suite_finds_and_builds_its_page(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    run = score_customers(services)
    with RunJudge(address(services, run.scoring_run_id), services.project_dir, services.reports) as judge:
        judge.ask(run)
        judgement = judge.answer()
    assert [result.succeeded for result in judgement.results] == [True] * 5
    assert judgement.data_docs is not None
    assert (services.reports.folder / judgement.data_docs).is_file()


def test_a_process_that_cannot_judge_says_so_and_leaves_nothing_behind(services: Services, tmp_path: Path) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    run = score_customers(services)
    with RunJudge(address(services, run.scoring_run_id), tmp_path, services.reports) as judge:
        judge.ask(run)
        with pytest.raises(ConfigurationError, match="could not be judged"):
            judge.answer()
    with RunJudge(address(services, run.scoring_run_id), services.project_dir, services.reports) as unused:
        process = unused._process
    assert process.poll() is not None
