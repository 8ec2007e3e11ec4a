SELECT promotion_id, decision, model_version, previous_version, reason, decided_by, decided_at
FROM churn.promotions
ORDER BY promotion_id DESC
LIMIT %(limit)s
