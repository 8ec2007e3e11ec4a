-- The night: runs made of parts, sealed before anyone may check them, published through a ledger.
-- What follows from a run as a whole (decile, percentile, risk level, change) is derived by the view.

-- Customers --------------------------------------------------------------------------------------------------

-- Every category of a customer in one number, by the column contract (core/feature_packing.py), made once at
-- admission: scoring reads it two times as fast as the texts. Rewrites the history where there is one.
ALTER TABLE churn.customer_history ADD COLUMN packed_categories bigint NOT NULL GENERATED ALWAYS AS (
        CASE gender WHEN 'Female' THEN 0 WHEN 'Male' THEN 1 ELSE 2 END::bigint
        + CASE partner WHEN 'Yes' THEN 0 WHEN 'No' THEN 4 ELSE 8 END::bigint
        + CASE dependents WHEN 'Yes' THEN 0 WHEN 'No' THEN 16 ELSE 32 END::bigint
        + CASE phone_service WHEN 'Yes' THEN 0 WHEN 'No' THEN 64 ELSE 128 END::bigint
        + CASE multiple_lines WHEN 'Yes' THEN 0 WHEN 'No' THEN 256 WHEN 'No phone service' THEN 512
            ELSE 768 END::bigint
        + CASE internet_service WHEN 'DSL' THEN 0 WHEN 'Fiber optic' THEN 1024 WHEN 'No' THEN 2048
            ELSE 3072 END::bigint
        + CASE online_security WHEN 'Yes' THEN 0 WHEN 'No' THEN 4096 WHEN 'No internet service' THEN 8192
            ELSE 12288 END::bigint
        + CASE online_backup WHEN 'Yes' THEN 0 WHEN 'No' THEN 16384 WHEN 'No internet service' THEN 32768
            ELSE 49152 END::bigint
        + CASE device_protection WHEN 'Yes' THEN 0 WHEN 'No' THEN 65536 WHEN 'No internet service' THEN 131072
            ELSE 196608 END::bigint
        + CASE tech_support WHEN 'Yes' THEN 0 WHEN 'No' THEN 262144 WHEN 'No internet service' THEN 524288
            ELSE 786432 END::bigint
        + CASE streaming_tv WHEN 'Yes' THEN 0 WHEN 'No' THEN 1048576 WHEN 'No internet service' THEN 2097152
            ELSE 3145728 END::bigint
        + CASE streaming_movies WHEN 'Yes' THEN 0 WHEN 'No' THEN 4194304 WHEN 'No internet service' THEN 8388608
            ELSE 12582912 END::bigint
        + CASE contract WHEN 'Month-to-month' THEN 0 WHEN 'One year' THEN 16777216 WHEN 'Two year' THEN 33554432
            ELSE 50331648 END::bigint
        + CASE paperless_billing WHEN 'Yes' THEN 0 WHEN 'No' THEN 67108864 ELSE 134217728 END::bigint
        + CASE payment_method WHEN 'Electronic check' THEN 0 WHEN 'Mailed check' THEN 268435456
            WHEN 'Bank transfer (automatic)' THEN 536870912 WHEN 'Credit card (automatic)' THEN 805306368
            ELSE 1073741824 END::bigint
) STORED;

-- Scoring runs -----------------------------------------------------------------------------------------------

ALTER TABLE churn.scoring_runs
    ADD COLUMN mode text NOT NULL DEFAULT 'full' CHECK (mode IN ('full', 'changed', 'shadow')),
    ADD COLUMN base_run_id bigint REFERENCES churn.scoring_runs,      -- whose scores `changed` takes over
    ADD COLUMN compared_run_id bigint REFERENCES churn.scoring_runs,  -- what `probability_change` is against
    ADD COLUMN percentile_cuts double precision[] CHECK (cardinality(percentile_cuts) = 99),
    ADD COLUMN explained_count bigint,
    ADD COLUMN checks jsonb,                                           -- every rule with its numbers
    ADD COLUMN scores_dropped_at timestamptz,
    ADD COLUMN medium_risk_from double precision
        GENERATED ALWAYS AS ((policy ->> 'medium_risk_from')::double precision) STORED,
    ADD COLUMN high_risk_from double precision
        GENERATED ALWAYS AS ((policy ->> 'high_risk_from')::double precision) STORED,
    ADD CONSTRAINT a_shadow_is_never_published CHECK (mode <> 'shadow' OR state NOT IN ('published', 'superseded'));

UPDATE churn.scoring_runs SET state = 'superseded', closed_at = now() WHERE state = 'open';
-- The smallest probability of the k-th percent, k = 1 to 99. Half a place keeps the rounding of k * n / 100 away.
UPDATE churn.scoring_runs AS runs
SET percentile_cuts = (
    SELECT percentile_disc((
        SELECT array_agg((k * n / 100 + 0.5)::double precision / n ORDER BY k)
        FROM generate_series(1, 99) AS k, (SELECT greatest(runs.scored_count, 1) AS n) AS counted
    )) WITHIN GROUP (ORDER BY churn_probability)
    FROM churn.scores
    WHERE scoring_run_id = runs.scoring_run_id
)
WHERE scored_at IS NOT NULL;

-- A state may only follow the one before it. `rejected -> published` and `superseded -> published` are the
-- operator's: a forced publication and a rollback, both in the ledger below.
CREATE FUNCTION churn.hold_run_to_its_states() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('open', 'scored'), ('scored', 'checked'), ('checked', 'published'),
        ('open', 'rejected'), ('scored', 'rejected'), ('checked', 'rejected'),
        ('open', 'superseded'), ('scored', 'superseded'), ('checked', 'superseded'), ('published', 'superseded'),
        ('rejected', 'published'), ('superseded', 'published')
    ) THEN
        RAISE EXCEPTION 'scoring run % cannot go from % to %', OLD.scoring_run_id, OLD.state, NEW.state;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER states_follow_each_other BEFORE UPDATE OF state ON churn.scoring_runs
    FOR EACH ROW EXECUTE FUNCTION churn.hold_run_to_its_states();

-- The parts of a run: key ranges, each with the marker that commits with its rows. `attempt` is the fencing token.
CREATE TABLE churn.scoring_parts (
    scoring_run_id  bigint NOT NULL REFERENCES churn.scoring_runs,
    part_number     integer NOT NULL CHECK (part_number > 0),
    from_key        text COLLATE "C",  -- included; NULL: from the first customer
    before_key      text COLLATE "C",  -- not included; NULL: to the last customer
    attempt         integer NOT NULL DEFAULT 0,
    worker          text,
    claimed_at      timestamptz,
    engine          text,
    model_digest    text,
    row_count       bigint CHECK (row_count >= 0),
    carried_count   bigint CHECK (carried_count >= 0),  -- of them taken over from the base run
    unknown_counts  jsonb,                              -- cells that the model had to do without, by feature
    finished_at     timestamptz,
    PRIMARY KEY (scoring_run_id, part_number),
    CONSTRAINT a_finished_part_is_counted CHECK ((finished_at IS NULL) = (row_count IS NULL))
);

-- Who made which run visible, and why.
CREATE TABLE churn.publications (
    publication_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scoring_run_id  bigint NOT NULL REFERENCES churn.scoring_runs,
    previous_run_id bigint REFERENCES churn.scoring_runs,  -- what readers saw before
    action          text NOT NULL CHECK (action IN ('publish', 'force', 'rollback')),
    reason          text,
    published_by    text NOT NULL DEFAULT session_user,
    published_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT a_person_says_why CHECK (action = 'publish' OR length(trim(reason)) > 0)
);

-- What was decided about the compiled engine of a model: once for a model and a version of the engine's code.
CREATE TABLE churn.engines (
    model_digest       text NOT NULL,
    engine             text NOT NULL,
    engine_version     integer NOT NULL,
    admitted           boolean NOT NULL,
    reason             text NOT NULL,
    compared_count     bigint NOT NULL,
    largest_difference double precision,
    rows_a_second      double precision,  -- on the machine that compared them, one thread
    reference_rows_a_second double precision,
    decided_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model_digest, engine_version)
);

CREATE TABLE monitoring.shadow_comparisons (
    scoring_run_id           bigint PRIMARY KEY REFERENCES churn.scoring_runs,
    compared_run_id          bigint NOT NULL REFERENCES churn.scoring_runs,
    customer_count           bigint NOT NULL,
    mean_difference          double precision NOT NULL,
    mean_absolute_difference double precision NOT NULL,
    correlation              double precision,
    moved_decile_rate        double precision NOT NULL,
    changed_risk_level_rate  double precision NOT NULL,
    compared_at              timestamptz NOT NULL DEFAULT now()
);

-- Scores -----------------------------------------------------------------------------------------------------

DROP VIEW crm.churn_scores;
ALTER TABLE churn.scores DROP COLUMN decile, DROP COLUMN risk_level;

CREATE TABLE churn.score_reasons (
    scoring_run_id bigint NOT NULL,
    customer_id    text COLLATE "C" NOT NULL,
    reasons        text[] NOT NULL,
    PRIMARY KEY (scoring_run_id, customer_id)
) PARTITION BY LIST (scoring_run_id);

-- Equal probabilities have one place, so whoever has the same score has the same decile.
CREATE VIEW churn.ranked_scores AS
SELECT
    scores.scoring_run_id,
    scores.customer_id,
    scores.churn_probability,
    width_bucket(scores.churn_probability, runs.percentile_cuts)::smallint AS percentile_rank,
    (10 - width_bucket(scores.churn_probability, runs.percentile_cuts) / 10)::smallint AS decile,
    CASE
        WHEN scores.churn_probability >= runs.high_risk_from THEN 'high'
        WHEN scores.churn_probability >= runs.medium_risk_from THEN 'medium'
        ELSE 'low'
    END AS risk_level,
    runs.model_version,
    runs.snapshot_date,
    runs.scored_at
FROM churn.scores AS scores
JOIN churn.scoring_runs AS runs USING (scoring_run_id);

-- Each partition is chosen by a subquery that runs once, so the others are not read.
CREATE VIEW crm.churn_scores AS
SELECT
    ranked.customer_id,
    ranked.churn_probability,
    ranked.decile,
    ranked.percentile_rank,
    ranked.risk_level,
    ranked.churn_probability - previous.churn_probability AS probability_change,
    explained.reasons,
    ranked.model_version,
    ranked.scoring_run_id,
    ranked.snapshot_date,
    ranked.scored_at
FROM churn.ranked_scores AS ranked
LEFT JOIN churn.score_reasons AS explained
    ON explained.customer_id = ranked.customer_id
    AND explained.scoring_run_id = (SELECT scoring_run_id FROM churn.current_scoring_run)
LEFT JOIN churn.scores AS previous
    ON previous.customer_id = ranked.customer_id
    AND previous.scoring_run_id = (
        SELECT runs.compared_run_id FROM churn.scoring_runs AS runs JOIN churn.current_scoring_run USING (scoring_run_id)
    )
WHERE ranked.scoring_run_id = (SELECT scoring_run_id FROM churn.current_scoring_run);

-- What the Great Expectations suite of a run looks at: the run is named by a setting of its own connection.
CREATE VIEW churn.checked_scores AS
SELECT customer_id, churn_probability
FROM churn.scores
WHERE scoring_run_id = current_setting('churn.checked_run_id')::bigint;

CREATE OR REPLACE VIEW monitoring.scoring_runs AS
SELECT scoring_run_id, snapshot_date, model_version, state, customer_count, scored_count, mean_probability,
       rejection, opened_at, scored_at, checked_at, published_at, closed_at,
       mode, base_run_id, compared_run_id, explained_count, checks, scores_dropped_at
FROM churn.scoring_runs;

CREATE VIEW monitoring.scoring_parts AS
SELECT scoring_run_id, part_number, attempt, worker, engine, row_count, carried_count, unknown_counts,
       claimed_at, finished_at
FROM churn.scoring_parts;

CREATE VIEW monitoring.publications AS
SELECT publication_id, scoring_run_id, previous_run_id, action, reason, published_by, published_at
FROM churn.publications;

CREATE VIEW monitoring.engines AS
SELECT model_digest, engine, engine_version, admitted, reason, compared_count, largest_difference, rows_a_second,
       reference_rows_a_second, decided_at
FROM churn.engines;

-- Tables of a run are made, sealed and dropped by functions that run as the owner. -----------------------------

DROP FUNCTION churn.add_scores_partition(bigint);

-- Two tables without index that nobody reads yet, because loading is three times as fast without a key.
CREATE FUNCTION churn.open_score_tables(p_scoring_run_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base text;
BEGIN
    IF NOT EXISTS (SELECT FROM churn.scoring_runs WHERE scoring_run_id = p_scoring_run_id AND state = 'open') THEN
        RAISE EXCEPTION 'scoring run % is not open', p_scoring_run_id;
    END IF;
    FOREACH base IN ARRAY ARRAY['scores', 'score_reasons'] LOOP
        EXECUTE format('CREATE TABLE churn.%I (LIKE churn.%I INCLUDING CONSTRAINTS)', base || '_' || p_scoring_run_id, base);
        -- With this check, attaching the table needs no scan.
        EXECUTE format('ALTER TABLE churn.%I ALTER scoring_run_id SET DEFAULT %s, ADD CHECK (scoring_run_id = %2$s)',
                       base || '_' || p_scoring_run_id, p_scoring_run_id);
        EXECUTE format('GRANT SELECT, INSERT ON churn.%I TO churn_pipeline', base || '_' || p_scoring_run_id);
    END LOOP;
END
$$;

-- Loaded: nobody may insert any more, not even who wakes late, and readers are planned for by what is in the table.
CREATE FUNCTION churn.close_score_table(p_scoring_run_id bigint, p_base text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    table_name text := p_base || '_' || p_scoring_run_id;
BEGIN
    IF p_base NOT IN ('scores', 'score_reasons') THEN
        RAISE EXCEPTION 'there are no tables of a run called %', p_base;
    END IF;
    IF EXISTS (SELECT FROM churn.scoring_parts WHERE scoring_run_id = p_scoring_run_id AND finished_at IS NULL) THEN
        RAISE EXCEPTION 'scoring run % has unfinished parts', p_scoring_run_id;
    END IF;
    -- Before its row in the catalogue is written: autovacuum takes the two in this order as well.
    EXECUTE format('LOCK TABLE churn.%I IN SHARE UPDATE EXCLUSIVE MODE', table_name);
    EXECUTE format('REVOKE INSERT ON churn.%I FROM churn_pipeline', table_name);
    EXECUTE format('ANALYZE churn.%I', table_name);
END
$$;

-- Closed, keyed, attached; sealing twice is no harm. The key is an index first: while that is built, the table can be
-- read, and so be ranked.
CREATE FUNCTION churn.seal_score_table(p_scoring_run_id bigint, p_base text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET maintenance_work_mem = '128MB' AS $$
DECLARE
    table_name text := p_base || '_' || p_scoring_run_id;
BEGIN
    IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(format('churn.%I', table_name))) THEN
        RETURN;
    END IF;
    PERFORM churn.close_score_table(p_scoring_run_id, p_base);
    EXECUTE format('CREATE UNIQUE INDEX %I ON churn.%I (scoring_run_id, customer_id)', table_name || '_pkey', table_name);
    EXECUTE format('ALTER TABLE churn.%I ADD PRIMARY KEY USING INDEX %I', table_name, table_name || '_pkey');
    EXECUTE format('ALTER TABLE churn.%I ATTACH PARTITION churn.%I FOR VALUES IN (%s)',
                   p_base, table_name, p_scoring_run_id);
END
$$;

-- Dropping a partition locks readers out for a moment: it waits a tenth of a second at most, then gives way to them.
CREATE FUNCTION churn.drop_score_tables(p_scoring_run_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
BEGIN
    IF EXISTS (
        SELECT FROM churn.current_scoring_run JOIN churn.scoring_runs USING (scoring_run_id)
        WHERE p_scoring_run_id IN (scoring_run_id, compared_run_id)
    ) THEN
        RAISE EXCEPTION 'scoring run % is what readers see, or what that is compared with', p_scoring_run_id;
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS churn.%I, churn.%I',
                   'scores_' || p_scoring_run_id, 'score_reasons_' || p_scoring_run_id);
    UPDATE churn.scoring_runs SET scores_dropped_at = now() WHERE scoring_run_id = p_scoring_run_id;
END
$$;

-- Who may do what --------------------------------------------------------------------------------------------

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA churn FROM PUBLIC;
GRANT EXECUTE ON FUNCTION churn.open_score_tables(bigint), churn.close_score_table(bigint, text),
    churn.seal_score_table(bigint, text), churn.drop_score_tables(bigint) TO churn_pipeline;
REVOKE INSERT ON churn.scores FROM churn_pipeline;
GRANT SELECT ON ALL TABLES IN SCHEMA churn, crm, monitoring TO churn_pipeline;
GRANT INSERT ON churn.scoring_parts, churn.publications, churn.engines, monitoring.shadow_comparisons
    TO churn_pipeline;
GRANT UPDATE (attempt, worker, claimed_at, engine, model_digest, row_count, carried_count, unknown_counts, finished_at)
    ON churn.scoring_parts TO churn_pipeline;
GRANT UPDATE (compared_run_id, percentile_cuts, explained_count, checks) ON churn.scoring_runs TO churn_pipeline;
GRANT SELECT ON ALL TABLES IN SCHEMA crm TO churn_api, crm_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA monitoring TO grafana_reader;
