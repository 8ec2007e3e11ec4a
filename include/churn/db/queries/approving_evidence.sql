SELECT evidence -> 'holdout' -> 'roc_auc' AS roc_auc
FROM churn.promotions
WHERE decision = 'promoted' AND model_version = %(model_version)s
ORDER BY promotion_id DESC
LIMIT 1
