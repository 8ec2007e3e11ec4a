-- Repeated, it changes nothing: the scores of a published run stay as they are.
INSERT INTO monitoring.score_groups (
    scoring_run_id, decile, risk_level, customer_count, mean_probability, monthly_charges_amount,
    monthly_amount_at_risk
)
SELECT ranked.scoring_run_id, ranked.decile, ranked.risk_level, count(*), avg(ranked.churn_probability),
       sum(history.monthly_charges), sum(ranked.churn_probability * history.monthly_charges)
FROM churn.ranked_scores AS ranked
JOIN churn.customer_history AS history
    ON history.extract_id = %(extract_id)s AND history.customer_id = ranked.customer_id
WHERE ranked.scoring_run_id = %(scoring_run_id)s
GROUP BY ranked.scoring_run_id, ranked.decile, ranked.risk_level
ON CONFLICT DO NOTHING
