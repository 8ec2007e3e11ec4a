-- One scan of staging. Its keys are unique: the suite has seen to that.
SELECT count(*) AS previous_count, count(staged.{key}) AS kept_count
FROM churn.customer_history AS history
LEFT JOIN staging.customers_extract AS staged ON staged.{key} COLLATE "C" = history.customer_id
WHERE history.extract_id = %(previous_extract_id)s
