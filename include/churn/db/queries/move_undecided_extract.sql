-- Between waiting for its validation and waiting for someone to ask for the replacement.
UPDATE churn.extracts
SET state = %(state)s, replaces_extract_id = %(replaces_extract_id)s
WHERE extract_id = %(extract_id)s AND state IN ('received', 'held')
RETURNING
    extract_id, content_hash, source_url, snapshot_date, state, row_count, admitted_count, quarantined_count, refusal,
    data_docs, replaces_extract_id
