"""*API*: who asks how much, how fast are the answers, which fail, and which version gives them?"""

from churn_grafana.dashboards import Dashboard, Row, found
from churn_grafana.panels import stat, table, time_series

SLOW_FROM_MS = 250  # a request; the gate lets no model in that takes longer for one customer (maximum_latency_seconds)
FAILING_FROM = 0.01  # share of requests

_BUCKETS = (
    "From counts a bucket and minute (1, 1.5, 2, 3, 4, 5, 7, 10, ... 10000 ms), spread evenly within a bucket: the"
    " true value lies in the same bucket. Time in the worker, not on the network."
)
_ROUTES = "route IN (${route:sqlstring}) AND $__timeFilter(minute)"
_BY_BUCKET = f"""
    SELECT $__timeGroup(minute, $__interval) AS time, bucket, sum(request_count)::bigint AS requests
    FROM monitoring.api_minutes
    WHERE {_ROUTES}
    GROUP BY 1, 2
"""


def _by(column: str, measure: str = "request_count") -> str:
    """Counts a second over time, one series for each value of a column."""
    return f"""
SELECT $__timeGroup(minute, $__interval) AS time, {column} AS metric,
       sum({measure}) / ($__interval_ms / 1000.0) AS value
FROM monitoring.api_minutes
WHERE {_ROUTES}
GROUP BY 1, 2
HAVING sum({measure}) > 0
ORDER BY 1, 2
"""


# One address is always there: an empty choice would be no SQL.
ADDRESSES = "SELECT route FROM monitoring.api_minutes WHERE $__timeFilter(minute) UNION SELECT '/v1/predict' ORDER BY 1"

NOW = Row(
    400,
    "In the chosen time",
    [
        stat(
            1, "Requests",
            "Requests that were let in and answered, whatever the answer was.",
            "short",
            f"SELECT sum(request_count) AS requests FROM monitoring.api_minutes WHERE {_ROUTES}",
        ),
        stat(
            2, "Share of failures",
            "Share of the requests that ended in a defect or an outage (status 500 and above).",
            "percentunit",
            f"""
SELECT coalesce(sum(request_count) FILTER (WHERE status >= 500), 0) / nullif(sum(request_count), 0) AS failed
FROM monitoring.api_minutes
WHERE {_ROUTES}
""",
            steps=((None, "green"), (FAILING_FROM, "red")), decimals=2,
        ),
        stat(
            3, "95 % are faster than",
            _BUCKETS,
            "ms",
            f"""
SELECT monitoring.percentile(0.95, array_agg(bucket), array_agg(requests)) AS p95
FROM (
    SELECT bucket, sum(request_count)::bigint AS requests FROM monitoring.api_minutes WHERE {_ROUTES} GROUP BY 1
) AS counted
""",
            steps=((None, "green"), (SLOW_FROM_MS, "red")), decimals=1,
        ),
        stat(
            4, "Log rows lost",
            "Answers that were given but not logged, because the database was away for longer than the workers' buffers"
            " last (the policy's api_log_buffer_count).",
            "short",
            "SELECT coalesce(sum(dropped_count), 0) AS lost FROM monitoring.api_log_batches"
            " WHERE dropped_count > 0 AND $__timeFilter(written_at)",
            steps=((None, "green"), (1, "red")),
        ),
    ],
)  # fmt: skip

TRAFFIC = Row(
    401,
    "Requests",
    [
        time_series(
            5, "Requests by address",
            "Requests answered a second, whatever the answer was.",
            "reqps",
            _by("route"), stacked=True, interval="1m",
        ),
        time_series(
            6, "Duration",
            _BUCKETS,
            "ms",
            f"""
SELECT time, monitoring.percentile(0.5, buckets, counts) AS "50 %",
       monitoring.percentile(0.95, buckets, counts) AS "95 %", monitoring.percentile(0.99, buckets, counts) AS "99 %"
FROM (
    SELECT time, array_agg(bucket) AS buckets, array_agg(requests) AS counts
    FROM ({_BY_BUCKET.rstrip()}
    ) AS counted
    GROUP BY 1
) AS grouped
ORDER BY 1
""",
            interval="1m", steps=((None, "transparent"), (SLOW_FROM_MS, "red")),
        ),
        time_series(
            7, "Share of failures and of refusals",
            "Failed: status 500 and above, ours to mend. Refused: status 400 to 499, the caller's.",
            "percentunit",
            f"""
SELECT $__timeGroup(minute, $__interval) AS time,
       coalesce(sum(request_count) FILTER (WHERE status >= 500), 0) / nullif(sum(request_count), 0) AS failed,
       coalesce(sum(request_count) FILTER (WHERE status BETWEEN 400 AND 499), 0) / nullif(sum(request_count), 0)
           AS refused
FROM monitoring.api_minutes
WHERE {_ROUTES}
GROUP BY 1
ORDER BY 1
""",
            interval="1m", colours={"failed": "red", "refused": "orange"},
        ),
        table(
            8, "Problems",
            "What callers were told in the chosen time, the most frequent first: the last part of the problem"
            " document's type.",
            "short",
            f"""
SELECT status, problem, route, sum(request_count) AS requests, max(minute) AS "last time"
FROM monitoring.api_minutes
WHERE status >= 400 AND {_ROUTES}
GROUP BY 1, 2, 3
ORDER BY 4 DESC
LIMIT 50
""",
            columns={"last time": "dateTimeAsIso", "status": "none"},
        ),
        time_series(
            9, "Turned away and lost",
            "Turned away before they were let in: keys that asked too much (429), and callers without a key for it"
            " (401, 403). Lost: rows that the log could not take.",
            "short",
            """
SELECT $__timeGroup(written_at, $__interval) AS time, sum(limited_count) AS "too many",
       sum(denied_count) AS "no key", sum(dropped_count) AS "log rows lost"
FROM monitoring.api_log_batches
WHERE (dropped_count > 0 OR limited_count > 0 OR denied_count > 0) AND $__timeFilter(written_at)
GROUP BY 1
ORDER BY 1
""",
            bars=True, interval="1m", colours={"log rows lost": "red"},
        ),
        table(
            10, "Addresses",
            _BUCKETS,
            "short",
            f"""
SELECT route, sum(requests) AS requests,
       monitoring.percentile(0.5, array_agg(bucket), array_agg(requests)) AS "50 %",
       monitoring.percentile(0.95, array_agg(bucket), array_agg(requests)) AS "95 %",
       monitoring.percentile(0.99, array_agg(bucket), array_agg(requests)) AS "99 %"
FROM (
    SELECT route, bucket, sum(request_count)::bigint AS requests
    FROM monitoring.api_minutes WHERE {_ROUTES} GROUP BY 1, 2
) AS counted
GROUP BY 1
ORDER BY 2 DESC
""",
            columns={"50 %": "ms", "95 %": "ms", "99 %": "ms"},
        ),
    ],
)  # fmt: skip

ANSWERS = Row(
    402,
    "Answers",
    [
        time_series(
            11, "Customers scored by version",
            "Customers scored a second, a batch counted by its rows; 0 is an answer that no model gave.",
            "cps",
            _by("model_version::text", "answer_count"), stacked=True, interval="1m",
        ),
        time_series(
            12, "Customers scored by arm",
            "Customers scored a second: Production, the challenger (challenger_share), its fallback, and the shadow"
            " that scores beside without answering.",
            "cps",
            _by("arm", "answer_count"), stacked=True, interval="1m",
        ),
    ],
)  # fmt: skip

API = Dashboard(
    "churn-api", "API", "Who asks how much, how fast are the answers, which fail, and which version gives them?",
    "6h", "30s", [NOW, TRAFFIC, ANSWERS],
    [found("route", "Address", ADDRESSES)],
)  # fmt: skip
