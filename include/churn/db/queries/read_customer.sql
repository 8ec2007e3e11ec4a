SELECT {columns}
FROM churn.customer_history AS history
WHERE history.extract_id = %(extract_id)s AND history.customer_id = %(customer_id)s
