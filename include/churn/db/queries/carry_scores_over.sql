INSERT INTO {scores} (customer_id, churn_probability)
SELECT base_scores.customer_id, base_scores.churn_probability
FROM churn.customer_history AS history
{unchanged}
WHERE {in_part}
