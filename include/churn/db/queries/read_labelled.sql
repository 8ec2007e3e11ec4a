SELECT {columns}
FROM churn.customer_history AS history
WHERE history.extract_id = %(extract_id)s AND history.churned IS NOT NULL
ORDER BY history.customer_id
