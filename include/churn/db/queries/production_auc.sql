-- A version is measured when it is the challenger, and again whenever a challenger is held against it.
SELECT evidence -> CASE WHEN model_version = %(model_version)s THEN 'holdout' ELSE 'production_holdout' END -> 'roc_auc'
       AS roc_auc
FROM churn.promotions
WHERE (model_version = %(model_version)s AND decision = 'promoted')
   OR (previous_version = %(model_version)s AND decision = 'kept')
ORDER BY promotion_id DESC
LIMIT 1
