UPDATE churn.retraining_requests SET settled_at = now(), result = 'abandoned'
WHERE settled_at IS NULL AND requested_at < now() - make_interval(secs => %(seconds)s)
