-- `customers` moves to this extract unless it shows a later day already.
INSERT INTO churn.current_extract (extract_id) VALUES (%(extract_id)s)
ON CONFLICT (only_row) DO UPDATE
SET extract_id = EXCLUDED.extract_id, moved_at = clock_timestamp()
WHERE (SELECT snapshot_date FROM churn.extracts WHERE extract_id = current_extract.extract_id)
    <= (SELECT snapshot_date FROM churn.extracts WHERE extract_id = EXCLUDED.extract_id)
