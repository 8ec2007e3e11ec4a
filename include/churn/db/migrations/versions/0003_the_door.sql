-- The door: how extracts land, what the suites measure, and quarantined rows that are released.

-- Landing ----------------------------------------------------------------------------------------------------

ALTER TABLE churn.extracts
    ADD COLUMN replaces_extract_id bigint REFERENCES churn.extracts;  -- the admitted extract of the same day before it

-- held: another content is admitted for its day; nothing of it enters before someone asks for the replacement.
ALTER TABLE churn.extracts
    DROP CONSTRAINT extracts_state_check,
    ADD CONSTRAINT extracts_state_check CHECK (state IN ('received', 'held', 'admitted', 'refused')),
    DROP CONSTRAINT a_decision_has_its_time,
    ADD CONSTRAINT a_decision_has_its_time CHECK ((state IN ('received', 'held')) = (decided_at IS NULL));
GRANT UPDATE (replaces_extract_id) ON churn.extracts TO churn_pipeline;

CREATE OR REPLACE VIEW monitoring.extracts AS
SELECT extract_id, snapshot_date, state, row_count, admitted_count, quarantined_count, refusal, data_docs,
       received_at, decided_at, source_url, replaces_extract_id
FROM churn.extracts;

-- A file that turned out not to be complete leaves no extract behind; what was decided about one stays for good.
CREATE FUNCTION churn.forget_received_extract(p_extract_id bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM churn.extracts WHERE extract_id = p_extract_id AND state = 'received'
$$;
REVOKE EXECUTE ON FUNCTION churn.forget_received_extract(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION churn.forget_received_extract(bigint) TO churn_pipeline;

-- Admission --------------------------------------------------------------------------------------------------

-- The rows of an extract are written by several connections into a table that nobody reads; attached, it is history.
-- Its name is known to one process only: another one that was taken for dead writes into a table that is gone.
CREATE SEQUENCE churn.history_preparations;
CREATE FUNCTION churn.prepare_history(p_extract_id bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    left_over name;
    table_name text := 'history_in_the_making_' || nextval('churn.history_preparations');
BEGIN
    IF NOT EXISTS (SELECT FROM churn.extracts WHERE extract_id = p_extract_id AND state = 'received') THEN
        RAISE EXCEPTION 'extract % is not waiting to be admitted', p_extract_id;
    END IF;
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
    EXECUTE format('CREATE TABLE churn.%I (LIKE churn.customer_history INCLUDING ALL EXCLUDING INDEXES)', table_name);
    EXECUTE format('ALTER TABLE churn.%I SET (autovacuum_enabled = false)', table_name);  -- until it is history
    EXECUTE format('GRANT INSERT ON churn.%I TO churn_pipeline', table_name);
    RETURN table_name;
END
$$;
CREATE FUNCTION churn.attach_history(p_extract_id bigint, p_table_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition_name text := 'customer_history_' || p_extract_id;
BEGIN
    IF NOT starts_with(p_table_name, 'history_in_the_making_')
        OR NOT EXISTS (SELECT FROM churn.extracts WHERE extract_id = p_extract_id AND state = 'received') THEN
        RAISE EXCEPTION '% cannot be the history of extract %', p_table_name, p_extract_id;
    END IF;
    -- Before its catalogue row is written: whoever analyses the table holds it and waits for that row.
    EXECUTE format('LOCK TABLE churn.%I IN ACCESS EXCLUSIVE MODE', p_table_name);
    EXECUTE format('REVOKE ALL ON churn.%I FROM churn_pipeline', p_table_name);
    EXECUTE format('ALTER TABLE churn.%I RESET (autovacuum_enabled)', p_table_name);
    EXECUTE format('ALTER TABLE churn.%I RENAME TO %I', p_table_name, partition_name);
    -- Builds the key, which finds one that is there twice, and locks no reader of history out.
    EXECUTE format('ALTER TABLE churn.customer_history ATTACH PARTITION churn.%I FOR VALUES IN (%s)',
                   partition_name, p_extract_id);
END
$$;
REVOKE EXECUTE ON FUNCTION churn.prepare_history(bigint), churn.attach_history(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION churn.prepare_history(bigint), churn.attach_history(bigint, text) TO churn_pipeline;
DROP FUNCTION churn.add_history_partition(bigint);

-- Suites -----------------------------------------------------------------------------------------------------

ALTER TABLE monitoring.validation_results
    ADD COLUMN suite text,
    ADD COLUMN finding text,  -- in a sentence, where it failed and numbers alone do not tell
    -- Of the whole pass that an expectation was part of, because a pass bundles its scans: never to be added up.
    ADD COLUMN duration_seconds double precision CHECK (duration_seconds >= 0);

ALTER TABLE churn.extracts
    ADD COLUMN profile jsonb;  -- quartiles and shares of an admitted extract, for the ones after it
GRANT UPDATE (profile) ON churn.extracts TO churn_pipeline;

-- What the Great Expectations suite of a training looks at: the extract is named by a setting of its own connection.
CREATE VIEW churn.training_customers AS
SELECT customer_id, gender, senior_citizen, partner, dependents, tenure, phone_service, multiple_lines,
       internet_service, online_security, online_backup, device_protection, tech_support, streaming_tv,
       streaming_movies, contract, paperless_billing, payment_method, monthly_charges, total_charges, churned
FROM churn.customer_history
WHERE extract_id = current_setting('churn.training_extract_id')::bigint AND churned IS NOT NULL;
GRANT SELECT ON churn.training_customers TO churn_pipeline;

-- Quarantine -------------------------------------------------------------------------------------------------

ALTER TABLE churn.quarantined_rows
    ADD COLUMN raw_text text,              -- the row as it was delivered; NULL where its source has no text
    ADD COLUMN released_values jsonb,      -- as it was admitted after all
    ADD COLUMN released_by text,
    ADD COLUMN released_at timestamptz,
    ADD CONSTRAINT a_release_is_whole
        CHECK (num_nulls(released_values, released_by, released_at) IN (0, 3));
GRANT UPDATE (raw_text, released_values, released_by, released_at) ON churn.quarantined_rows TO churn_pipeline;

-- A row is released once, and what was delivered stays as it is.
CREATE FUNCTION churn.keep_quarantined_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.released_at IS NOT NULL OR NEW.raw_text IS DISTINCT FROM OLD.raw_text THEN
        RAISE EXCEPTION 'quarantined row % of extract % cannot be changed any more', OLD.line_number, OLD.extract_id;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER a_decided_row_stays BEFORE UPDATE ON churn.quarantined_rows
    FOR EACH ROW WHEN (OLD.raw_text IS NOT NULL OR OLD.released_at IS NOT NULL)
    EXECUTE FUNCTION churn.keep_quarantined_row();

-- The count on the extract is the number of rows that can be listed; looked at when the transaction commits.
CREATE FUNCTION churn.hold_extract_to_its_quarantine() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    listed_count bigint := (
        SELECT count(*) FROM churn.quarantined_rows WHERE extract_id = NEW.extract_id AND released_at IS NULL
    );
BEGIN
    IF listed_count <> NEW.quarantined_count THEN
        RAISE EXCEPTION 'extract % counts % quarantined rows and % are listed',
            NEW.extract_id, NEW.quarantined_count, listed_count USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER quarantined_rows_are_listed AFTER UPDATE OF quarantined_count ON churn.extracts
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'admitted')
    EXECUTE FUNCTION churn.hold_extract_to_its_quarantine();
REVOKE EXECUTE ON FUNCTION churn.keep_quarantined_row(), churn.hold_extract_to_its_quarantine() FROM PUBLIC;
