SELECT decision, reason, model_version, previous_version, decided_at
FROM churn.promotions
ORDER BY promotion_id DESC
LIMIT 1
