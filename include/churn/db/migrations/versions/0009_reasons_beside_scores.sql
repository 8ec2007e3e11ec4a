-- Reasons are given while the scores are made; what the ranking does not ask for is taken back.

ALTER TABLE churn.scoring_parts
    ADD COLUMN explained_from double precision;  -- who has this probability or more has reasons; NULL: nobody has
ALTER TABLE churn.score_reasons
    ADD COLUMN churn_probability double precision;  -- NULL: explained after the ranking, or before this column was there
GRANT UPDATE (explained_from) ON churn.scoring_parts TO churn_pipeline;

-- Of a ranked run whose reasons are not sealed: the reasons that customers below a probability got with their scores.
CREATE FUNCTION churn.withdraw_reasons(p_scoring_run_id bigint, p_before double precision) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM churn.scoring_runs
        WHERE scoring_run_id = p_scoring_run_id AND state = 'scored' AND explained_count IS NULL
    ) THEN
        RAISE EXCEPTION 'the reasons of scoring run % are complete, or it is not ranked', p_scoring_run_id;
    END IF;
    EXECUTE format('DELETE FROM churn.%I WHERE churn_probability < $1', 'score_reasons_' || p_scoring_run_id)
        USING p_before;
END
$$;
REVOKE EXECUTE ON FUNCTION churn.withdraw_reasons(bigint, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION churn.withdraw_reasons(bigint, double precision) TO churn_pipeline;
