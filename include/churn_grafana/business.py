"""*Business*: how many customers are about to leave, what they pay, and how many did leave?"""

from churn_grafana.dashboards import Dashboard, Row
from churn_grafana.panels import bar_chart, stat, table, time_series

MONEY = "suffix: a month"  # in the currency of the extracts
_LEVELS = {"high": "red", "medium": "orange", "low": "green"}

NOW = Row(
    300,
    "Today",
    [
        stat(
            1, "Customers at high risk",
            "In the published table, by the policy's high_risk_from that the run was made under.",
            "short",
            """
SELECT sum(customer_count) AS customers
FROM monitoring.risk_days
WHERE risk_level = 'high' AND snapshot_date = (SELECT snapshot_date FROM monitoring.published_run)
""",
        ),
        stat(
            2, "Value at risk",
            "Monthly charges of all customers, each weighed by the probability that the customer leaves: what is"
            " expected to be lost, in the currency of the extracts.",
            MONEY,
            """
SELECT sum(monthly_amount_at_risk) AS amount
FROM monitoring.risk_days
WHERE snapshot_date = (SELECT snapshot_date FROM monitoring.published_run)
""",
            decimals=0,
        ),
        stat(
            3, "Share of monthly charges at risk",
            "The value at risk over what all customers pay in a month.",
            "percentunit",
            """
SELECT sum(monthly_amount_at_risk) / nullif(sum(monthly_charges_amount), 0) AS share
FROM monitoring.risk_days
WHERE snapshot_date = (SELECT snapshot_date FROM monitoring.published_run)
""",
            decimals=1,
        ),
        stat(
            4, "Churn rate, realised",
            "Share of the customers of the newest settled run who left within the horizon.",
            "percentunit",
            "SELECT churn_rate FROM monitoring.realised_performance ORDER BY snapshot_date DESC LIMIT 1",
            decimals=1,
        ),
    ],
)  # fmt: skip

DAYS = Row(
    301,
    "Day by day",
    [
        time_series(
            5, "Customers by risk",
            "Customers of each published snapshot by risk level.",
            "short",
            """
SELECT snapshot_date AS time, risk_level AS metric, customer_count AS value
FROM monitoring.risk_days
WHERE $__timeFilter(snapshot_date)
ORDER BY 1, 2
""",
            stacked=True, colours=_LEVELS,
        ),
        time_series(
            6, "Value at risk by risk",
            "Expected loss of monthly charges (charges times probability) of each published snapshot by risk level, in"
            " the currency of the extracts.",
            MONEY,
            """
SELECT snapshot_date AS time, risk_level AS metric, monthly_amount_at_risk AS value
FROM monitoring.risk_days
WHERE $__timeFilter(snapshot_date)
ORDER BY 1, 2
""",
            stacked=True, colours=_LEVELS,
        ),
        time_series(
            7, "Churn rate, expected and realised",
            "By the day of the scores, over the customers whose outcome is known: mean probability that was published,"
            " and the share that left within the horizon.",
            "percentunit",
            """
SELECT snapshot_date AS time, churn_rate AS realised, mean_probability AS expected
FROM monitoring.realised_performance
WHERE $__timeFilter(snapshot_date)
ORDER BY 1
""",
            lines=("expected",),
        ),
        bar_chart(
            8, "Who leaves, by decile",
            "The newest settled run: share of each tenth that left within the horizon. Decile 1 had the highest"
            " scores.",
            "percentunit",
            """
SELECT 'decile ' || decile AS tenth, churn_rate AS "left within the horizon"
FROM monitoring.realised_deciles
WHERE scoring_run_id = (
    SELECT scoring_run_id FROM monitoring.realised_performance ORDER BY snapshot_date DESC LIMIT 1
)
ORDER BY decile
""",
            x="tenth",
        ),
    ],
)  # fmt: skip

GROUPS = Row(
    302,
    "The published table",
    [
        table(
            9, "Deciles",
            "Customers of the published table by decile; 1 is the highest risk. Amounts are in the currency of the"
            " extracts.",
            "short",
            """
SELECT decile, sum(customer_count) AS customers,
       sum(customer_count * mean_probability) / sum(customer_count) AS "mean probability",
       sum(monthly_charges_amount) AS "monthly charges", sum(monthly_amount_at_risk) AS "at risk"
FROM monitoring.score_groups
WHERE scoring_run_id = (SELECT scoring_run_id FROM monitoring.published_run)
GROUP BY 1
ORDER BY 1
""",
            columns={"mean probability": "percentunit", "monthly charges": MONEY, "at risk": MONEY, "decile": "none"},
        ),
        table(
            10, "Risk levels",
            "Customers of the published table by risk level, with the probabilities from which the levels begin.",
            "short",
            """
SELECT risk_level AS risk,
       CASE risk_level WHEN 'high' THEN high_risk_from WHEN 'medium' THEN medium_risk_from ELSE 0 END AS "from",
       customer_count AS customers, monthly_charges_amount AS "monthly charges", monthly_amount_at_risk AS "at risk"
FROM monitoring.risk_days
WHERE snapshot_date = (SELECT snapshot_date FROM monitoring.published_run)
ORDER BY 2 DESC
""",
            columns={"from": "percentunit", "monthly charges": MONEY, "at risk": MONEY},
        ),
    ],
)  # fmt: skip

BUSINESS = Dashboard(
    "churn-business", "Business", "How many customers are about to leave, what do they pay, and how many did leave?",
    "90d", "15m", [NOW, DAYS, GROUPS],
)  # fmt: skip
