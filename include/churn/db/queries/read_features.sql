-- The primary key delivers the order: no sort.
SELECT {columns}
FROM churn.customer_history AS history
WHERE history.extract_id = %(extract_id)s
ORDER BY history.customer_id
