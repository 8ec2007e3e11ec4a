UPDATE churn.extracts
SET decided_at = clock_timestamp(), replaces_extract_id = %(replaces_extract_id)s
WHERE extract_id = %(extract_id)s AND state = 'admitted'
