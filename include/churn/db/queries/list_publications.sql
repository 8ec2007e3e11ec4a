SELECT publication_id, scoring_run_id, previous_run_id, action, reason, published_by, published_at
FROM churn.publications
ORDER BY publication_id DESC
LIMIT %(limit)s
