"""Macros and variables come out as Grafana's documentation has them, so that other tests run what Grafana runs."""

from datetime import UTC, datetime, timedelta

import pytest

from churn.core.grafana import Moment, Target, expand, interval_of

START = datetime(2017, 4, 21, 5, 1, 17, tzinfo=UTC)
MOMENT = Moment(START, START + timedelta(minutes=5), {"route": ["/predict", "it's"], "source": ["customers"]})
FROM, TO = "'2017-04-21T05:01:17.000000Z'", "'2017-04-21T05:06:17.000000Z'"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("$__time(at)", 'at AS "time"'),
        ("$__timeEpoch(at)", 'extract(epoch from at) AS "time"'),
        ("$__timeFilter(at)", f"at BETWEEN {FROM} AND {TO}"),
        ("$__timeFrom() $__timeTo()", f"{FROM} {TO}"),
        ("$__timeGroup(at,'5m')", "floor(extract(epoch from at)/300)*300"),
        ("$__timeGroupAlias(at, 1h)", 'floor(extract(epoch from at)/3600)*3600 AS "time"'),
        ("$__timeGroup(at, 5m), 1", 'floor(extract(epoch from at)/300)*300 AS "time", 1'),
        ("$__timeGroup(at, $__interval)", "floor(extract(epoch from at)/1)*1"),
        ("$__unixEpochFilter(at)", "at >= 1492750877 AND at <= 1492751177"),
        ("$__interval_ms", "1000"),
        ("IN (${route:sqlstring})", "IN ('/predict','it''s')"),
        ("= ${source:singlequote}", "= 'customers'"),
        ("$source and ${source}", "customers and customers"),
    ],
)
def test_what_is_written_is_sent_as_documented(written: str, sent: str) -> None:
    assert expand(Target("here", written, "table"), MOMENT) == sent


@pytest.mark.parametrize("written", ["$__timeFilterr(at)", "$unknown", "${unknown:csv}", "${route}", "${route:csv}"])
def test_what_is_not_documented_or_no_sql_is_not_sent(written: str) -> None:
    with pytest.raises(ValueError, match=r"unknown macro|unexpanded|no SQL"):
        expand(Target("here", written, "table"), MOMENT)


@pytest.mark.parametrize(
    ("span", "smallest", "seconds"),
    [(timedelta(hours=6), None, 30), (timedelta(hours=6), "1m", 60), (timedelta(days=90), "1m", 21_600)],
)
def test_an_interval_is_the_range_over_a_thousand_points_and_no_less_than_the_panels(
    span: timedelta, smallest: str | None, seconds: int
) -> None:
    assert interval_of(Moment(START, START + span), smallest) == seconds
