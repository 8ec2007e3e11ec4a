-- Newest day first; extracts of which rows are in quarantine, or were.
SELECT
    extracts.extract_id, extracts.snapshot_date, extracts.source_url, extracts.row_count, extracts.admitted_count,
    extracts.quarantined_count, aside.released_count
FROM churn.extracts
JOIN (
    SELECT extract_id, count(*) FILTER (WHERE released_at IS NOT NULL) AS released_count
    FROM churn.quarantined_rows
    GROUP BY extract_id
) AS aside USING (extract_id)
WHERE extracts.quarantined_count > 0 OR %(released)s
ORDER BY extracts.snapshot_date DESC, extracts.extract_id DESC
LIMIT %(limit)s
