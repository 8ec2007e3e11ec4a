-- Corrected rows that may not be released, each with every reason.
SELECT *, count(*) OVER () AS unreleasable_count
FROM (
    SELECT
        record_number,
        line_number,
        is_admissible,
        reasons || array_remove(ARRAY[
            CASE
                WHEN NOT EXISTS (
                    SELECT FROM churn.quarantined_rows AS aside
                    WHERE aside.extract_id = %(extract_id)s AND aside.line_number = checked.aside_number
                ) THEN 'line_number names no quarantined row of this extract'
                WHEN EXISTS (
                    SELECT FROM churn.quarantined_rows AS aside
                    WHERE aside.extract_id = %(extract_id)s AND aside.line_number = checked.aside_number
                      AND aside.released_at IS NOT NULL
                ) THEN 'it was released before'
                WHEN count(*) OVER (PARTITION BY aside_number) > 1 THEN 'line_number is in the file twice'
            END,
            CASE
                WHEN EXISTS (
                    SELECT FROM churn.customer_history AS history
                    WHERE history.extract_id = %(extract_id)s
                      AND history.customer_id = checked.corrected_key COLLATE "C"
                ) THEN {key_name} || ' is admitted in this extract already'
                WHEN corrected_key IS NOT NULL AND count(*) OVER (PARTITION BY corrected_key) > 1
                    THEN {key_name} || ' is in the file twice'
            END
        ]::text[], NULL) AS reasons
    FROM (
        SELECT
            record_number,
            line_number,
            CASE WHEN line_number ~ '^[0-9]{{1,18}}$' THEN line_number::bigint END AS aside_number,
            {key} AS corrected_key,
            ({is_admissible}) IS TRUE AS is_admissible,
            {reasons} AS reasons
        FROM staging.released_rows AS row_values
    ) AS checked
) AS judged
WHERE NOT is_admissible OR cardinality(reasons) > 0
ORDER BY record_number
LIMIT %(limit)s
