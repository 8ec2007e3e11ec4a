-- The database holds row_count to the sum of the other two.
UPDATE churn.extracts
SET admitted_count = admitted_count + %(released_count)s,
    quarantined_count = quarantined_count - %(released_count)s
WHERE extract_id = %(extract_id)s
