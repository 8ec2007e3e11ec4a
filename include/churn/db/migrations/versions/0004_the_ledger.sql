-- The ledger of promotions: rollbacks are in it, and nothing in it changes.

ALTER TABLE churn.promotions
    DROP CONSTRAINT promotions_decision_check,
    ADD CONSTRAINT promotions_decision_check CHECK (decision IN ('promoted', 'kept', 'rolled_back')),
    ADD CONSTRAINT a_rollback_replaces_a_version
        CHECK (decision <> 'rolled_back' OR previous_version IS DISTINCT FROM model_version),
    ADD CONSTRAINT a_reason_is_given CHECK (btrim(reason) <> '');

CREATE FUNCTION churn.keep_ledger() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
REVOKE EXECUTE ON FUNCTION churn.keep_ledger() FROM PUBLIC;
CREATE TRIGGER promotions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON churn.promotions
    FOR EACH STATEMENT EXECUTE FUNCTION churn.keep_ledger();
