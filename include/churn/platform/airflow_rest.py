"""The few calls of Airflow's REST API that the demo and the tests need."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from churn.errors import PlatformError

FINISHED = ("success", "failed")
POLL_SECONDS = 1.0


class AirflowRest:
    """A logged-in client of one Airflow.

    Raises PlatformError where Airflow refuses the login or a call, with Airflow's own words.
    """

    def __init__(self, url: str, user: str, password: str, patience: float = 30) -> None:
        """Log in; `patience` is how many seconds a call may take."""
        self._http = httpx.Client(base_url=url, timeout=patience)
        answer = self._http.post("/auth/token", json={"username": user, "password": password})
        if answer.status_code != httpx.codes.CREATED:
            raise PlatformError(
                f"Airflow at {url} refused the login of {user}: {answer.text[:200]}.",
                "Look at `churn platform env`.",
            )
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def authorization(self) -> str:
        """The value of the Authorization header of this login."""
        return self._http.headers["Authorization"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call below /api/v2; returns the JSON of the answer."""
        answer = self._http.request(method, f"/api/v2{path}", json=body)
        if answer.is_error:
            raise PlatformError(
                f"Airflow answered {method} {path} with {answer.status_code}: {answer.text[:300]}.",
                "Read `churn platform logs airflow-api-server`.",
            )
        return answer.json()

    def import_errors(self) -> list[str]:
        """What kept DAG files from being imported."""
        return [
            f"{each['filename']}: {each['stack_trace']}" for each in self.call("GET", "/importErrors")["import_errors"]
        ]

    def wait_for_dags(self, dag_ids: set[str], seconds: float = 120) -> None:
        """Wait until Airflow has read these DAGs. Raises PlatformError naming those it has not, and why."""
        deadline = time.monotonic() + seconds
        while missing := dag_ids - {dag["dag_id"] for dag in self.call("GET", "/dags?limit=100")["dags"]}:
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"Airflow did not find {', '.join(sorted(missing))}. {' '.join(self.import_errors())}",
                    "Read `churn platform logs airflow-dag-processor`.",
                )
            time.sleep(POLL_SECONDS)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run this DAG."""
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run, with the parameters of `conf`, and return its id."""
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body: dict[str, Any] = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        return str(self.call("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100"
        return list(self.call("GET", path)["task_instances"])

    def wait(self, dag_id: str, run_id: str, seconds: float, watch: Callable[[str], None] = lambda _: None) -> str:
        """Wait until a run has finished and return 'success' or 'failed'; `watch` gets a line on progress.

        Raises PlatformError after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while (state := self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]) not in FINISHED:
            instances = self.tasks(dag_id, run_id)
            done = sum(instance["state"] in ("success", "skipped") for instance in instances)
            running = sorted({each["task_id"] for each in instances if each["state"] == "running"})
            watch(f"{dag_id}: {done} of {len(instances)} tasks done{', now ' + ', '.join(running) if running else ''}")
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{dag_id} run {run_id} is still {state} after {seconds:.0f} s.",
                    "Look at it in the Airflow UI.",
                )
            time.sleep(POLL_SECONDS)
        return str(state)

    def run(self, dag_id: str, conf: dict[str, Any], seconds: float, watch: Callable[[str], None]) -> float:
        """Trigger a DAG, wait for its end and return the seconds that took.

        Raises PlatformError naming the tasks that did not succeed, or after `seconds`.
        """
        began = time.monotonic()
        run_id = self.trigger(dag_id, conf)
        state = self.wait(dag_id, run_id, seconds, watch)
        if state != "success":
            raise PlatformError(
                f"{dag_id} {state}: {self.failure(dag_id, run_id)}.", "Open the task's log in the Airflow UI."
            )
        return time.monotonic() - began

    def failure(self, dag_id: str, run_id: str) -> str:
        """The tasks of a run that did not succeed, in words."""
        states = [f"{each['task_id']} {each['state']}" for each in self.tasks(dag_id, run_id)]
        return ", ".join(each for each in states if not each.endswith(("success", "skipped")))
