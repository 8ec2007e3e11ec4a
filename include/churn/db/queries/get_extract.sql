SELECT
    extract_id, content_hash, source_url, snapshot_date, state, row_count, admitted_count, quarantined_count, refusal,
    data_docs, replaces_extract_id
FROM churn.extracts
WHERE extract_id = %(extract_id)s
