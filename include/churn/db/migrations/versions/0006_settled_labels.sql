-- What became true of the customers of a snapshot, and nothing that was known later.

-- The customers of p_snapshot_date who had not left by then and whose outcome is known on p_settled_date, with whether
-- they left within the horizon: the rule of queries/settle_scores.sql, on the day on which the horizon could be settled.
-- p_extract_ids are the extracts that count; nothing of another one, or of a day after p_settled_date, is looked at.
CREATE FUNCTION churn.settled_labels(
    p_snapshot_date date, p_settled_date date, p_horizon_days integer, p_extract_ids bigint[]
) RETURNS TABLE (customer_id text, churned boolean)
LANGUAGE sql STABLE AS $$
    SELECT
        history.customer_id,
        coalesce(min(history.snapshot_date) FILTER (WHERE history.churned) <= p_snapshot_date + p_horizon_days, false)
    FROM churn.customer_history AS history
    WHERE p_settled_date IS NOT NULL  -- nothing is settled: not a row of history is read
      AND history.extract_id = ANY (p_extract_ids)
      AND history.snapshot_date <= p_settled_date
      AND history.churned IS NOT NULL
    GROUP BY history.customer_id
    HAVING (min(history.snapshot_date) FILTER (WHERE history.churned) > p_snapshot_date) IS NOT FALSE
       AND (bool_or(history.churned) OR max(history.snapshot_date) >= p_snapshot_date + p_horizon_days)
$$;
REVOKE EXECUTE ON FUNCTION churn.settled_labels(date, date, integer, bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION churn.settled_labels(date, date, integer, bigint[]) TO churn_pipeline;

-- What the Great Expectations suite of a training looks at: the rows that are learned from. Settings of its own
-- connection name the extract, and, where labels are outcomes and not as delivered, the horizon and when it was settled.
CREATE OR REPLACE VIEW churn.training_customers AS
SELECT history.customer_id, gender, senior_citizen, partner, dependents, tenure, phone_service, multiple_lines,
       internet_service, online_security, online_backup, device_protection, tech_support, streaming_tv,
       streaming_movies, contract, paperless_billing, payment_method, monthly_charges, total_charges,
       CASE WHEN settled_date IS NULL THEN history.churned ELSE settled.churned END AS churned
FROM (
    SELECT nullif(current_setting('churn.training_settled_date', true), '')::date AS settled_date,
           nullif(current_setting('churn.training_horizon_days', true), '')::integer AS horizon_days,
           extract_id, snapshot_date
    FROM churn.extracts
    WHERE extract_id = current_setting('churn.training_extract_id')::bigint
) AS learned
JOIN churn.customer_history AS history
    ON history.extract_id = current_setting('churn.training_extract_id')::bigint
LEFT JOIN churn.settled_labels(
    learned.snapshot_date, settled_date, horizon_days, ARRAY(SELECT extract_id FROM churn.snapshots)
) AS settled ON settled.customer_id = history.customer_id
WHERE CASE WHEN settled_date IS NULL THEN history.churned ELSE settled.churned END IS NOT NULL;
