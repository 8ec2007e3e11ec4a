-- What was decided last about this content for this day.
SELECT
    extract_id, content_hash, source_url, snapshot_date, state, row_count, admitted_count, quarantined_count, refusal,
    data_docs, replaces_extract_id
FROM churn.extracts
WHERE content_hash = %(content_hash)s AND snapshot_date = %(snapshot_date)s
ORDER BY extract_id DESC
LIMIT 1
