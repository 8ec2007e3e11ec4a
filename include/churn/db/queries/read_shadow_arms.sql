-- Each customer once, by the first request that both versions scored.
WITH answered AS (
    SELECT DISTINCT ON (answers.customer_id)
        answers.customer_id,
        answers.churn_probability,
        shadows.churn_probability AS shadow_probability,
        (answers.at AT TIME ZONE 'UTC')::date AS asked_date
    FROM churn.api_requests AS shadows
    JOIN churn.api_requests AS answers
        ON answers.customer_id = shadows.customer_id AND answers.request_id = shadows.request_id
        AND answers.row_number = shadows.row_number AND answers.at = shadows.at AND answers.arm = 'production'
    WHERE shadows.arm = 'shadow'
      AND shadows.model_version = %(challenger_version)s
      AND shadows.customer_id IS NOT NULL
      AND shadows.churn_probability IS NOT NULL
    ORDER BY answers.customer_id, answers.at
),
observed AS (
    SELECT
        answered.customer_id,
        min(observed_date) FILTER (WHERE churned) AS left_date,
        max(observed_date) AS seen_date
    FROM answered
    JOIN churn.outcomes AS outcomes
        ON outcomes.customer_id = answered.customer_id AND outcomes.observed_date > answered.asked_date
    GROUP BY answered.customer_id
)
SELECT
    churn_probability,
    shadow_probability,
    (left_date IS NOT NULL AND left_date <= asked_date + %(horizon_days)s::integer)::int AS churned
FROM answered
JOIN observed USING (customer_id)
WHERE left_date IS NOT NULL OR seen_date >= asked_date + %(horizon_days)s::integer
ORDER BY customer_id
