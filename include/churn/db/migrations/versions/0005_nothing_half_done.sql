-- What was prepared for an extract that is not admitted is dropped at once, not by the next one.

CREATE FUNCTION churn.discard_history() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    left_over name;
BEGIN
    FOR left_over IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'churn'::regnamespace AND relkind = 'r' AND NOT relispartition
            AND starts_with(relname, 'history_in_the_making_')
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE churn.%I', left_over);
        EXCEPTION WHEN lock_not_available THEN  -- someone still writes into it: the next one will drop it
        END;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION churn.discard_history() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION churn.discard_history() TO churn_pipeline;

CREATE OR REPLACE FUNCTION churn.prepare_history(p_extract_id bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    table_name text := 'history_in_the_making_' || nextval('churn.history_preparations');
BEGIN
    IF NOT EXISTS (SELECT FROM churn.extracts WHERE extract_id = p_extract_id AND state = 'received') THEN
        RAISE EXCEPTION 'extract % is not waiting to be admitted', p_extract_id;
    END IF;
    PERFORM churn.discard_history();
    EXECUTE format('CREATE TABLE churn.%I (LIKE churn.customer_history INCLUDING ALL EXCLUDING INDEXES)', table_name);
    EXECUTE format('ALTER TABLE churn.%I SET (autovacuum_enabled = false)', table_name);  -- until it is history
    EXECUTE format('GRANT INSERT ON churn.%I TO churn_pipeline', table_name);
    RETURN table_name;
END
$$;
