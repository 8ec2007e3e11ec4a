"""*Model*: which version serves, is it as good as was estimated, and do customers still look like those it knows?"""

from churn_grafana.dashboards import Dashboard, Row, choice
from churn_grafana.panels import bar_chart, stat, status_history, table, time_series

_CONFIDENCE = "The thin lines are the ends of the interval at the policy's confidence (95 % by default)."
_RUN_PAGE = '${mlflow_url}/#/runs/${__data.fields["MLflow run"]}'

NOW = Row(
    200,
    "Production",
    [
        stat(
            1, "Version that serves",
            "By the ledger of promotions; Production in MLflow follows it.",
            "none",
            "SELECT model_version AS version FROM monitoring.serving_periods ORDER BY promotion_id DESC LIMIT 1",
        ),
        stat(
            2, "Estimated ROC-AUC",
            "What the gate measured of that version, on customers that no model was trained on.",
            "none",
            """
SELECT estimated.roc_auc
FROM monitoring.estimated_performance AS estimated
JOIN monitoring.serving_periods AS serving USING (model_version)
WHERE estimated.roc_auc IS NOT NULL
ORDER BY serving.promotion_id DESC, estimated.promotion_id DESC
LIMIT 1
""",
            decimals=3,
        ),
        stat(
            3, "Realised ROC-AUC",
            "Of the newest run whose horizon has passed, against what became true of its customers.",
            "none",
            "SELECT roc_auc FROM monitoring.realised_performance WHERE roc_auc IS NOT NULL"
            " ORDER BY snapshot_date DESC LIMIT 1",
            decimals=3,
        ),
        stat(
            4, "Drift of customers",
            "Verdict of the newest report on customers.",
            "string",
            "SELECT verdict FROM monitoring.drift_reports WHERE source = 'customers'"
            " ORDER BY drift_report_id DESC LIMIT 1",
        ),
    ],
)  # fmt: skip

HONESTY = Row(
    201,
    "What was estimated, and what became true",
    [
        time_series(
            5, "ROC-AUC, realised and estimated",
            "By the day of the scores: AUC against outcomes, beside the gate's estimate for the version."
            f" {_CONFIDENCE}",
            "none",
            """
SELECT snapshot_date AS time, roc_auc AS realised, roc_auc_low AS "realised, low", roc_auc_high AS "realised, high",
       estimated_auc AS estimated, estimated_auc_low AS "estimated, low", estimated_auc_high AS "estimated, high"
FROM monitoring.realised_and_estimated
WHERE $__timeFilter(snapshot_date)
ORDER BY 1
""",
            lines=("realised, low", "realised, high", "estimated, low", "estimated, high"), decimals=3,
        ),
        time_series(
            6, "Calibration error",
            "Mean distance of the churn rate from the mean score over tenths of the customers: 0 is perfect. Realised,"
            " beside the gate's estimate for the version.",
            "percentunit",
            """
SELECT snapshot_date AS time, calibration_error AS realised, estimated_calibration_error AS estimated
FROM monitoring.realised_and_estimated
WHERE $__timeFilter(snapshot_date)
ORDER BY 1
""",
            lines=("estimated",),
        ),
        bar_chart(
            7, "Said and true, by decile",
            "The newest settled run: mean probability that was published, and the share that left within the horizon."
            " Decile 1 had the highest scores.",
            "percentunit",
            """
SELECT 'decile ' || decile AS tenth, mean_probability AS said, churn_rate AS "became true"
FROM monitoring.realised_deciles
WHERE scoring_run_id = (
    SELECT scoring_run_id FROM monitoring.realised_performance ORDER BY snapshot_date DESC LIMIT 1
)
ORDER BY decile
""",
            x="tenth",
        ),
        time_series(
            8, "Lift of the first tenth",
            "Churn rate of the tenth with the highest scores over that of everybody, by the day of the scores. 1 is no"
            " better than chance.",
            "suffix:x",
            """
SELECT snapshot_date AS time, lift_10 AS lift
FROM monitoring.realised_performance
WHERE lift_10 IS NOT NULL AND $__timeFilter(snapshot_date)
ORDER BY 1
""",
        ),
        time_series(
            9, "Brier score",
            "Mean squared distance of the probability from what became true, by the day of the scores: lower is"
            " better.",
            "none",
            """
SELECT snapshot_date AS time, brier
FROM monitoring.realised_performance
WHERE $__timeFilter(snapshot_date)
ORDER BY 1
""",
            decimals=3,
        ),
        table(
            10, "Challenger beside Production",
            "Where both answered (policy: challenger_share, shadow_scoring) and outcomes have settled. The difference"
            " is the challenger's AUC minus Production's.",
            "none",
            """
SELECT challenger_version AS challenger, design, production_count + challenger_count AS answers,
       production_auc AS "Production AUC", challenger_auc AS "challenger AUC", auc_difference AS difference,
       auc_difference_low AS low, auc_difference_high AS high, compared_at AS compared
FROM monitoring.arm_comparisons
ORDER BY compared_at DESC
LIMIT 20
""",
            columns={"compared": "dateTimeAsIso", "answers": "short"}, decimals=3,
        ),
    ],
)  # fmt: skip

HISTORY = Row(
    202,
    "Versions",
    [
        table(
            11, "Every decision",
            "The ledger of promotions, newest first, with what the gate measured. The run leads to MLflow.",
            "none",
            """
SELECT decided_at AS decided, decision, model_version AS version, previous_version AS before, roc_auc AS "AUC",
       roc_auc_low AS low, roc_auc_high AS high, calibration_error AS "calibration error", lift_10 AS lift,
       decided_by AS by, reason, mlflow_run_id AS "MLflow run"
FROM monitoring.estimated_performance
ORDER BY promotion_id DESC
LIMIT 50
""",
            width=24, columns={"decided": "dateTimeAsIso", "calibration error": "percentunit", "lift": "suffix:x"},
            links={"MLflow run": _RUN_PAGE},
        ),
    ],
)  # fmt: skip

DRIFT = Row(
    203,
    "Drift of ${drift_source}",
    [
        time_series(
            12, "Share of drifted columns",
            "Of each report, beside the limit that it was held against (the policy's drifted_column_rate). Reports on"
            " customers may ask for a retraining; those on requests never do.",
            "percentunit",
            """
SELECT reported_at AS time, drifted_rate AS drifted, drifted_rate_limit AS "limit"
FROM monitoring.drift_reports
WHERE source = ${drift_source:sqlstring} AND drifted_rate IS NOT NULL AND $__timeFilter(reported_at)
ORDER BY 1
""",
            colours={"drifted": "orange", "limit": "red"}, lines=("limit",),
        ),
        table(
            13, "The newest report, column by column",
            "Distance from the training reference over its threshold: 1 and more is drift. Numbers by the Wasserstein"
            " distance in standard deviations, categories by the Jensen-Shannon distance.",
            "none",
            """
SELECT column_name AS "column", statistic / threshold AS "of the threshold", statistic AS distance, threshold, method
FROM monitoring.drift_columns
WHERE drift_report_id = (
    SELECT max(drift_report_id) FROM monitoring.drift_columns JOIN monitoring.drift_reports USING (drift_report_id)
    WHERE source = ${drift_source:sqlstring}
)
ORDER BY 2 DESC
""",
            columns={"of the threshold": "percentunit"}, decimals=3, steps=((None, "green"), (1, "red")),
        ),
        status_history(
            14, "Drift per column",
            "Distance over its threshold, in each interval the largest: orange from half of it on, red is drift.",
            "percentunit",
            """
SELECT $__timeGroup(reports.reported_at, $__interval) AS time, columns.column_name AS metric,
       max(columns.statistic / columns.threshold) AS value
FROM monitoring.drift_columns AS columns
JOIN monitoring.drift_reports AS reports USING (drift_report_id)
WHERE reports.source = ${drift_source:sqlstring} AND $__timeFilter(reports.reported_at)
GROUP BY 1, 2
ORDER BY 1, 2
""",
            steps=((None, "green"), (0.5, "orange"), (1, "red")), interval="1h",
        ),
    ],
)  # fmt: skip

MODEL = Dashboard(
    "churn-model", "Model", "Which version serves, is it as good as was estimated, and do customers still look alike?",
    "90d", "5m", [NOW, HONESTY, HISTORY, DRIFT],
    [choice("drift_source", "Drift of", ("customers", "requests"))],
)  # fmt: skip
