SELECT max(snapshot_date) AS same_content_date
FROM churn.extracts
WHERE content_hash = %(content_hash)s AND snapshot_date < %(snapshot_date)s AND state = 'admitted'
