"""*Operations*: is everything there this morning, and if not, what stopped it?"""

from churn_grafana.dashboards import Dashboard, Row
from churn_grafana.panels import bar_chart, stat, table, time_series

LATE_AFTER_SECONDS = 26 * 3600  # a night every 24 hours, and two to be late in
_LATE = ((None, "green"), (25 * 3600, "orange"), (LATE_AFTER_SECONDS, "red"))
_ANY_IS_BAD = ((None, "green"), (1, "red"))

NOW = Row(
    100,
    "This morning",
    [
        stat(
            1, "Age of the published scores",
            "Time since the run that CRM reads was published. Orange after 25 hours, red after 26: a night is missing.",
            "s",
            "SELECT extract(epoch FROM now() - published_at) AS age FROM monitoring.published_run",
            steps=_LATE,
        ),
        stat(
            2, "Age of the customers behind them",
            "Days since the snapshot that was scored. Orange from two days on: no newer extract was admitted.",
            "d",
            "SELECT (now() AT TIME ZONE 'UTC')::date - snapshot_date AS age FROM monitoring.published_run",
            steps=((None, "green"), (2, "orange"), (4, "red")),
        ),
        stat(
            3, "Customers in the published table",
            "Rows of crm.churn_scores: one for every customer of the snapshot.",
            "short",
            "SELECT scored_count AS customers FROM monitoring.published_run",
        ),
        stat(
            4, "Files refused",
            "Extracts refused whole in the chosen time. The customers of the day before stay until a file is admitted.",
            "short",
            "SELECT count(*) AS refused FROM monitoring.extracts WHERE state = 'refused' AND $__timeFilter(decided_at)",
            steps=_ANY_IS_BAD,
        ),
    ],
)  # fmt: skip

EXTRACTS = Row(
    101,
    "Extracts",
    [
        time_series(
            5, "Rows admitted and quarantined",
            "Rows of each admitted extract, at the time of its decision. Quarantined rows are kept with every reason.",
            "short",
            """
SELECT decided_at AS time, admitted_count AS admitted, quarantined_count AS quarantined
FROM monitoring.extracts
WHERE state = 'admitted' AND $__timeFilter(decided_at)
ORDER BY 1
""",
            bars=True, stacked=True, colours={"admitted": "green", "quarantined": "orange"},
        ),
        time_series(
            6, "Bad rows against the cap",
            "Share of rows that break a rule. Above the cap (the policy's quarantine_cap_rate, kept with each extract)"
            " the file is refused whole.",
            "percentunit",
            """
SELECT decided_at AS time, bad_rate AS "bad rows", cap_rate AS cap
FROM monitoring.quarantine_shares
WHERE $__timeFilter(decided_at)
ORDER BY 1
""",
            colours={"bad rows": "orange", "cap": "red"}, lines=("cap",),
        ),
        bar_chart(
            7, "Files by verdict",
            "Extracts of each day (of decision) that were admitted and refused.",
            "short",
            """
SELECT to_char(decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,
       count(*) FILTER (WHERE state = 'admitted') AS admitted, count(*) FILTER (WHERE state = 'refused') AS refused
FROM monitoring.extracts
WHERE $__timeFilter(decided_at)
GROUP BY 1
ORDER BY 1
""",
            x="day", colours={"admitted": "green", "refused": "red"},
        ),
        table(
            8, "Rules that failed",
            "Expectations that an extract did not meet in the chosen time, the most frequent first. 'refuse' stops the"
            " file, 'quarantine' sets rows aside, 'warn' tells.",
            "short",
            """
SELECT expectation, coalesce(column_name, '(table)') AS "column", severity, count(*) AS extracts,
       sum(unexpected_count) AS rows, max(validated_at) AS "last time"
FROM monitoring.validation_results
WHERE NOT succeeded AND $__timeFilter(validated_at)
GROUP BY 1, 2, 3
ORDER BY 4 DESC, 5 DESC NULLS LAST
LIMIT 50
""",
            columns={"last time": "dateTimeAsIso"},
        ),
        table(
            9, "Latest extracts",
            "The newest files with their verdict; a refusal says why and what was found.",
            "short",
            """
SELECT decided_at AS decided, snapshot_date::text AS snapshot, state, row_count AS rows, admitted_count AS admitted,
       quarantined_count AS quarantined, refusal
FROM monitoring.extracts
ORDER BY extract_id DESC
LIMIT 20
""",
            width=24, columns={"decided": "dateTimeAsIso"},
        ),
    ],
)  # fmt: skip

RUNS = Row(
    102,
    "Runs",
    [
        time_series(
            10, "Duration of scoring runs",
            "From opening a run to publishing it, waiting times included; one series a mode.",
            "s",
            """
SELECT opened_at AS time, mode AS metric, seconds AS value
FROM monitoring.run_durations
WHERE seconds IS NOT NULL AND $__timeFilter(opened_at)
ORDER BY 1
""",
        ),
        time_series(
            11, "Speed of scoring",
            "Customers scored a second, from the first part claimed to the last part finished; checks and publishing"
            " are not in it.",
            "rowsps",
            """
SELECT opened_at AS time, mode AS metric, rows_a_second AS value
FROM monitoring.run_durations
WHERE rows_a_second IS NOT NULL AND $__timeFilter(opened_at)
ORDER BY 1
""",
        ),
        table(
            12, "Latest scoring runs",
            "The newest runs; a rejected one says which check it did not pass, and readers kept what they had.",
            "short",
            """
SELECT scoring_run_id AS run, snapshot_date::text AS snapshot, mode, model_version AS version, state,
       scored_count AS customers, opened_at AS opened, seconds AS duration, rows_a_second AS speed, rejection
FROM monitoring.run_durations
ORDER BY scoring_run_id DESC
LIMIT 20
""",
            width=24,
            columns={
                "opened": "dateTimeAsIso", "duration": "s", "speed": "rowsps", "run": "none", "version": "none",
            },
        ),
        table(
            13, "The last word of each job",
            "What each job wrote last, and how long ago. A task that failed before it wrote leaves an old line: its log"
            " is in Airflow.",
            "short",
            """
SELECT job, extract(epoch FROM now() - at) AS age, outcome, detail
FROM monitoring.last_of_each_job
ORDER BY at DESC
""",
            width=24, columns={"age": "s"},
        ),
    ],
)  # fmt: skip

OPERATIONS = Dashboard(
    "churn-operations", "Operations", "Is everything there this morning, and if not, what stopped it?",
    "7d", "1m", [NOW, EXTRACTS, RUNS],
)  # fmt: skip
