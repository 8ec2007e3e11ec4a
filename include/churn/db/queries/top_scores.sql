SELECT customer_id, churn_probability, decile, risk_level
FROM crm.churn_scores
ORDER BY churn_probability DESC, customer_id
LIMIT %(limit)s
