SELECT reason, COALESCE(evidence -> 'rules', '[]') AS rules
FROM churn.promotions
WHERE model_version = %(model_version)s AND decision = 'promoted'
ORDER BY promotion_id DESC
LIMIT 1
