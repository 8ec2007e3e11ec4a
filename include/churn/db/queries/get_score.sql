SELECT ranked.*, explained.reasons
FROM churn.ranked_scores AS ranked
LEFT JOIN churn.score_reasons AS explained USING (scoring_run_id, customer_id)
WHERE ranked.scoring_run_id = %(scoring_run_id)s AND ranked.customer_id = %(customer_id)s
