"""The suite of a run judged in the test's own process, which gets Great Expectations ready once for all nights."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import CodeType, TracebackType
from typing import Self

import pytest
from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket

from churn.quality import judge_run, open_context
from churn.records import Judgement, ScoringRun
from churn.reports import Reports


class JudgeAtHand:
    """Stands in for run_judge.RunJudge: the same suite by the same functions, without the process around them.

    That process takes seconds to start. The commands, DAGs and child processes of the tests have the real one.
    """

    def __init__(self, sqlalchemy_url: str, project_dir: Path, reports: Reports) -> None:
        self._url, self._project_dir, self._reports = sqlalchemy_url, project_dir, reports

    def __enter__(self) -> Self:
        return self

    def ask(self, run: ScoringRun) -> None:
        with self._reports.writing() as folder:
            context = open_context(self._url, self._project_dir, folder)
            self._judgement = judge_run(context, run.scoring_run_id, run.customer_count or 0, folder)

    def answer(self) -> Judgement:
        return self._judgement

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class CompiledTemplates(BytecodeCache):
    """Templates of the data docs, compiled once: Great Expectations compiles all 55 anew for each validation."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code:
            self._codes[bucket.key, bucket.checksum] = bucket.code


@pytest.fixture(scope="session", autouse=True)
def compiled_templates() -> Iterator[None]:
    """Every page of the test's own process is made from templates that are compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        environment = partial(Environment, bytecode_cache=CompiledTemplates())
        patch.setattr("great_expectations.render.view.view.Environment", environment)
        yield


@pytest.fixture(scope="session", autouse=True)
def judge_at_hand() -> Iterator[None]:
    """Nights in the test's own process do without the judge's process; those in child processes have it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("churn.jobs.check_scores.RunJudge", JudgeAtHand)
        yield
