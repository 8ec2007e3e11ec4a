INSERT INTO churn.extracts (content_hash, source_url, source_version, snapshot_date, state, replaces_extract_id)
VALUES (
    %(content_hash)s, %(source_url)s, %(source_version)s, %(snapshot_date)s, %(state)s, %(replaces_extract_id)s
)
RETURNING
    extract_id, content_hash, source_url, snapshot_date, state, row_count, admitted_count, quarantined_count, refusal,
    data_docs, replaces_extract_id
