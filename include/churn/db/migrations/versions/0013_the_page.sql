-- What the page at / shows of a customer beside the score: the fields that the published run scored.
-- A function and no view: role churn_api asks for one customer by id and cannot read the table of them, nor who left.
-- As JSON without the columns that are no feature, so that a new column of the contract is in it by itself.

CREATE FUNCTION serving.customer_inputs(p_customer_id text) RETURNS TABLE (snapshot_date date, inputs jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        history.snapshot_date,
        to_jsonb(history) - ARRAY['extract_id', 'snapshot_date', 'customer_id', 'churned']
    FROM churn.customer_history AS history
    WHERE history.customer_id = p_customer_id
        AND history.extract_id = (
            SELECT runs.extract_id
            FROM churn.scoring_runs AS runs
            JOIN churn.current_scoring_run USING (scoring_run_id)
        )
$$;

REVOKE EXECUTE ON FUNCTION serving.customer_inputs(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION serving.customer_inputs(text) TO churn_api;
