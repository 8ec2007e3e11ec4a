-- Each customer once, by the first answer of its arm: a customer who asks often would otherwise count often.
-- Only customers whose horizon has passed since are read, as in settle_scores.
WITH answered AS (
    SELECT DISTINCT ON (customer_id) customer_id, arm, churn_probability, (at AT TIME ZONE 'UTC')::date AS asked_date
    FROM churn.api_requests
    WHERE challenger_version = %(challenger_version)s
      AND arm IN ('production', 'challenger')
      AND customer_id IS NOT NULL
      AND churn_probability IS NOT NULL
    ORDER BY customer_id, at
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
    arm = 'challenger' AS is_challenger,
    churn_probability,
    (left_date IS NOT NULL AND left_date <= asked_date + %(horizon_days)s::integer)::int AS churned
FROM answered
JOIN observed USING (customer_id)
WHERE left_date IS NOT NULL OR seen_date >= asked_date + %(horizon_days)s::integer
ORDER BY customer_id
