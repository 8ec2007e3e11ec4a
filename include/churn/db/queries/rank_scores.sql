-- Ties break by key, so that the same probabilities give the same deciles.
INSERT INTO churn.scores (scoring_run_id, customer_id, churn_probability, decile, risk_level)
SELECT
    %(scoring_run_id)s,
    customer_id,
    churn_probability,
    ntile(10) OVER (ORDER BY churn_probability DESC, customer_id),
    CASE
        WHEN churn_probability >= %(high_risk_from)s THEN 'high'
        WHEN churn_probability >= %(medium_risk_from)s THEN 'medium'
        ELSE 'low'
    END
FROM {loaded}
