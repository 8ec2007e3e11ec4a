"""The suite of a scoring run, judged by a process of its own.

Great Expectations takes seconds to import and a good deal of memory. This process gets ready before the run is sealed,
with what the processor has left; the worker that scores stays small. It speaks one line of JSON each way, and the
address of the database goes through its environment, where no list of processes shows it.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from churn.errors import ConfigurationError
from churn.process import tune_for_one_job
from churn.quality import judge_run, open_context
from churn.records import Judgement, ScoringRun, as_json, from_json
from churn.reports import Reports

_ADDRESS = "CHURN_JUDGED_DATABASE_URL"
_NICENESS = 10


class RunJudge:
    """A judge of one scoring run, getting ready from the moment it is made.

    `sqlalchemy_url` carries the setting that names the run. Leaving its block ends the process, and brings its page to
    where reports are.
    """

    def __init__(self, sqlalchemy_url: str, project_dir: Path, reports: Reports) -> None:
        self._pages = contextlib.ExitStack()
        folder = self._pages.enter_context(reports.writing())
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(project_dir), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {_ADDRESS: sqlalchemy_url},
        )

    def __enter__(self) -> Self:
        return self

    def ask(self, run: ScoringRun) -> None:
        """Hand the sealed run over."""
        asked = {"scoring_run_id": run.scoring_run_id, "customer_count": run.customer_count}
        with contextlib.suppress(BrokenPipeError):  # it ended early: `answer` says so
            self._process.stdin.write(json.dumps(asked) + "\n")  # type: ignore[union-attr]  # it is a pipe
            self._process.stdin.flush()  # type: ignore[union-attr]

    def answer(self) -> Judgement:
        """What the suite found. Raises ConfigurationError where it could not be evaluated."""
        answer, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise ConfigurationError(
                "The suite of the scoring run could not be judged; its error is above.",
                "Mend it, then run this again: the scores stay as they are.",
            )
        return from_json(Judgement, json.loads(answer))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._pages.__exit__(kind, error, trace)


def main() -> None:
    """Open the context named on the command line, wait for the run, answer on standard output."""
    os.nice(_NICENESS)
    tune_for_one_job()
    project_dir, reports = map(Path, sys.argv[1:])
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is not the answer
    context = open_context(os.environ.pop(_ADDRESS), project_dir, reports)
    asked = sys.stdin.readline()
    if asked:  # otherwise whoever scored is gone
        judgement = judge_run(context, **json.loads(asked), reports=reports)
        answers.write(json.dumps(as_json(judgement)))


if __name__ == "__main__":
    main()
