SELECT *
FROM serving.published_scores
WHERE customer_id = %(customer_id)s
ORDER BY snapshot_date DESC
