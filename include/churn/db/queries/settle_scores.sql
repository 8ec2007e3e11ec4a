-- The first day on which a customer was known to have left decides: within the horizon it is churn, after it it is
-- not. A customer who was not seen after the horizon, and not seen to leave, has no outcome yet.
WITH observed AS (
    SELECT
        customer_id,
        min(observed_date) FILTER (WHERE churned) AS left_date,
        max(observed_date) AS seen_date
    FROM churn.outcomes
    WHERE observed_date > %(snapshot_date)s
    GROUP BY customer_id
)
SELECT
    scores.churn_probability,
    (observed.left_date IS NOT NULL
     AND observed.left_date <= %(snapshot_date)s::date + %(horizon_days)s::integer)::int AS churned
FROM churn.scores AS scores
JOIN observed USING (customer_id)
WHERE scores.scoring_run_id = %(scoring_run_id)s
  AND (observed.left_date IS NOT NULL OR observed.seen_date >= %(snapshot_date)s::date + %(horizon_days)s::integer)
ORDER BY scores.customer_id
