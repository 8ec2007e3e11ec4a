"""Files that land wake `validate_customers`: the trigger on a real folder and bucket, and the schedule."""

import asyncio
import json
import os
import pkgutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import s3fs
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import AssetOrTimeSchedule
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import coerce_to_core_timetable, encode_timetable, encode_trigger
from airflow.triggers.base import TriggerEvent

from churn.settings import PROJECT
from churn_airflow.assets import LANDED_EXTRACTS
from churn_airflow.defaults import at
from churn_airflow.landing_watch import LandingTrigger

SOON = 0.05


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("CHURN_LANDING_URL", str(tmp_path))
    return tmp_path


async def next_files(events: AsyncIterator[TriggerEvent]) -> list[str]:
    event = await asyncio.wait_for(anext(events), 30)
    return [Path(url).name for url in event.payload["files"]]


async def nothing_more(events: AsyncIterator[TriggerEvent]) -> None:
    """Waits for many looks; the generator is spent afterwards."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(events), 20 * SOON)


def test_it_fires_once_for_what_is_there_and_then_for_each_change(folder: Path) -> None:
    async def watch() -> None:
        (folder / "customers-2026-11-01.csv").write_bytes(b"a")
        (folder / "customers-2026-11-02.csv.gz").write_bytes(b"b")
        (folder / "readme.txt").write_bytes(b"c")
        events = LandingTrigger(SOON).run()
        assert await next_files(events) == ["customers-2026-11-01.csv", "customers-2026-11-02.csv.gz"]
        (folder / "customers-2026-11-03.parquet").write_bytes(b"d")
        assert await next_files(events) == ["customers-2026-11-03.parquet"]
        (folder / "customers-2026-11-01.csv").write_bytes(b"another")
        assert await next_files(events) == ["customers-2026-11-01.csv"]
        (folder / "customers-2026-11-02.csv.gz").unlink()
        await nothing_more(events)

    asyncio.run(watch())


def test_a_file_without_its_marker_wakes_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_LANDING_DONE_MARKERS", "true")

    async def watch() -> None:
        (folder / "customers-2026-11-01.csv").write_bytes(b"a")
        (folder / "customers-2026-11-02.csv").write_bytes(b"b")
        (folder / "customers-2026-11-02.csv.done").touch()
        events = LandingTrigger(SOON).run()
        assert await next_files(events) == ["customers-2026-11-02.csv"]
        (folder / "customers-2026-11-01.csv.done").touch()
        assert await next_files(events) == ["customers-2026-11-01.csv"]

    asyncio.run(watch())


def test_a_place_that_is_missing_for_a_while_does_not_end_the_watch(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = folder / "later"
    os.environ["CHURN_LANDING_URL"] = str(place)  # restored by the fixture

    async def watch() -> None:
        events = LandingTrigger(SOON).run()
        first = asyncio.ensure_future(next_files(events))
        await asyncio.sleep(10 * SOON)
        assert not first.done()
        place.mkdir()
        (place / "customers-2026-11-01.csv").write_bytes(b"a")
        assert await first == ["customers-2026-11-01.csv"]

    asyncio.run(watch())


def test_it_sees_what_lands_in_a_bucket_behind_the_connection(
    s3_bucket: s3fs.S3FileSystem, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"endpoint_url": s3_endpoint, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LANDING_BUCKET", json.dumps(connection))
    monkeypatch.setenv("CHURN_LANDING_CONNECTION", "landing_bucket")
    monkeypatch.setenv("CHURN_LANDING_URL", "s3://landing/extracts")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)

    async def watch() -> None:
        events = LandingTrigger(SOON).run()
        await asyncio.to_thread(s3_bucket.pipe, "landing/extracts/customers-2026-11-01.csv", b"a")
        assert await next_files(events) == ["customers-2026-11-01.csv"]
        await asyncio.to_thread(s3_bucket.pipe, "landing/extracts/customers-2026-11-02.csv", b"b")
        assert await next_files(events) == ["customers-2026-11-02.csv"]

    asyncio.run(watch())


def test_the_triggerer_can_make_it_from_what_was_stored() -> None:
    (watcher,) = LANDED_EXTRACTS.watchers
    stored = json.loads(json.dumps(encode_trigger(watcher.trigger)))
    made = pkgutil.resolve_name(stored["classpath"])(**stored["kwargs"])
    assert made.serialize() == watcher.trigger.serialize()


def test_with_a_query_the_extract_is_landed_before_it_is_validated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHURN_LANDING_QUERY", str(tmp_path / "customers.sql"))
    dag = DagBag(dag_folder=PROJECT / "dags").dags["validate_customers"]
    assert dag.get_task("land_extract").downstream_task_ids == {"validate_customers"}
    assert dag.get_task("land_extract").retries == 3


def test_with_the_setting_a_landed_file_brings_the_daily_hour_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_WATCH_LANDING", "true")
    bag = DagBag(dag_folder=PROJECT / "dags")
    assert bag.import_errors == {}
    schedule = bag.dags["validate_customers"].schedule
    assert isinstance(schedule, AssetOrTimeSchedule)
    assert schedule.timetable == at("0 2 * * *")
    assert list(schedule.asset_condition.objects) == [LANDED_EXTRACTS]
    stored = json.loads(json.dumps(encode_timetable(coerce_to_core_timetable(schedule))))
    assert decode_timetable(stored).summary.startswith("Asset or")
