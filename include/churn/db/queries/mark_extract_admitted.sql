UPDATE churn.extracts
SET state = 'admitted',
    row_count = %(row_count)s,
    admitted_count = %(admitted_count)s,
    quarantined_count = %(quarantined_count)s,
    data_docs = %(data_docs)s,
    decided_at = clock_timestamp()
WHERE extract_id = %(extract_id)s AND state = 'received'
RETURNING
    extract_id, content_hash, source_url, snapshot_date, state, row_count, admitted_count, quarantined_count, refusal,
    data_docs, replaces_extract_id
