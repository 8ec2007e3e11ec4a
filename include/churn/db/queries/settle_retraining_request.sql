UPDATE churn.retraining_requests SET settled_at = now(), result = %(result)s WHERE settled_at IS NULL
