-- Who may ask the API, and what it answered.

-- Keys -------------------------------------------------------------------------------------------------------
-- A row is never deleted: once there was a key, the API goes on asking for one, whatever is revoked.

CREATE TABLE churn.api_keys (
    key_id              text PRIMARY KEY CHECK (key_id ~ '^[0-9a-f]{12}$'),
    key_name            text NOT NULL CHECK (key_name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$'),
    secret_hash         bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    scopes              text[] NOT NULL
                        CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['predict', 'read', 'explain', 'metrics']),
    requests_per_minute integer CHECK (requests_per_minute > 0),  -- null: by policy
    created_by          text NOT NULL DEFAULT session_user,
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz,
    revoked_at          timestamptz
);
CREATE UNIQUE INDEX one_unrevoked_key_a_name ON churn.api_keys (key_name) WHERE revoked_at IS NULL;

CREATE FUNCTION churn.keep_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'key % is revoked, and stays so', OLD.key_id;
END
$$;
CREATE TRIGGER a_revoked_key_stays_revoked BEFORE UPDATE ON churn.api_keys
    FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL) EXECUTE FUNCTION churn.keep_revocation();

-- Requests ---------------------------------------------------------------------------------------------------
-- One row an answer, and one for a request that was refused; one table a day (UTC), so that forgetting is a DROP.

CREATE TABLE churn.api_requests (
    at                 timestamptz NOT NULL,
    request_id         text NOT NULL,
    row_number         integer NOT NULL,   -- of the answer within its request, from 0
    route              text NOT NULL,
    status             smallint NOT NULL,
    milliseconds       real NOT NULL,
    key_id             text,
    arm                text CHECK (arm IN ('production', 'challenger', 'fallback', 'shadow')),
    model_version      integer,
    challenger_version integer,            -- that ran beside Production where the request was put into an arm
    customer_id        text COLLATE "C",
    inputs             jsonb,
    churn_probability  double precision CHECK (churn_probability >= 0 AND churn_probability <= 1),
    risk_level         text CHECK (risk_level IN ('low', 'medium', 'high'))
) PARTITION BY RANGE (at);
CREATE INDEX api_requests_by_customer ON churn.api_requests (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX api_requests_by_time ON churn.api_requests USING brin (at);

-- One row a batch that a worker wrote: its key makes a repeated write harmless, its counts tell what was lost.
CREATE TABLE churn.api_log_batches (
    batch_id      uuid PRIMARY KEY,
    worker        text NOT NULL,
    row_count     integer NOT NULL CHECK (row_count >= 0),
    dropped_count bigint NOT NULL CHECK (dropped_count >= 0),  -- rows lost since the worker's batch before
    written_at    timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION churn.open_api_request_day(p_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    table_name text := 'api_requests_' || to_char(p_day, 'YYYYMMDD');
BEGIN
    IF to_regclass(format('churn.%I', table_name)) IS NOT NULL THEN
        RETURN;
    END IF;
    IF p_day NOT BETWEEN today - 31 AND today + 1 THEN
        RAISE EXCEPTION 'no request can be of %', p_day;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('churn.open_api_request_day', 0));
    -- Another worker may have been faster. Asked of the catalogue: to_regclass remembers that there was none.
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'churn'::regnamespace AND relname = table_name) THEN
        RETURN;
    END IF;
    -- Attaching blocks neither readers nor writers of the other days; CREATE ... PARTITION OF would.
    EXECUTE format('CREATE TABLE churn.%I (LIKE churn.api_requests INCLUDING ALL)', table_name);
    EXECUTE format('ALTER TABLE churn.api_requests ATTACH PARTITION churn.%I FOR VALUES FROM (%L) TO (%L)',
                   table_name, p_day || ' 00:00+00', (p_day + 1) || ' 00:00+00');
END
$$;

CREATE FUNCTION churn.drop_api_requests(p_before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    old_table name;
    dropped integer := 0;
BEGIN
    FOR old_table IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'churn.api_requests'::regclass
            AND relname::text < 'api_requests_' || to_char(p_before, 'YYYYMMDD')
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE churn.%I', old_table);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN  -- someone reads it: the next one will drop it
        END;
    END LOOP;
    DELETE FROM churn.api_log_batches WHERE written_at < p_before;
    DELETE FROM serving.kept_answers WHERE answered_at < now() - interval '1 day';
    RETURN dropped;
END
$$;

CREATE FUNCTION churn.erase_api_requests(p_customer_id text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    erased bigint;
BEGIN
    DELETE FROM churn.api_requests WHERE customer_id = p_customer_id;
    GET DIAGNOSTICS erased = ROW_COUNT;
    DELETE FROM serving.kept_answers;  -- compressed: whose answers they are cannot be told
    RETURN erased;
END
$$;

-- Arms -------------------------------------------------------------------------------------------------------

CREATE TABLE monitoring.arm_comparisons (
    challenger_version   integer NOT NULL,
    design               text NOT NULL CHECK (design IN ('split', 'shadow')),
    horizon_days         integer NOT NULL,
    production_count     bigint NOT NULL,
    challenger_count     bigint NOT NULL,
    production_auc       double precision NOT NULL,
    challenger_auc       double precision NOT NULL,
    auc_difference       double precision NOT NULL,
    auc_difference_low   double precision,
    auc_difference_high  double precision,
    production_profit    double precision NOT NULL,  -- expected maximum profit per customer
    challenger_profit    double precision NOT NULL,
    fallback_count       bigint NOT NULL,
    compared_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (challenger_version, design, horizon_days)
);

-- What Grafana sees: no field and no id of a customer, and no request id, which a caller may have made of one.
CREATE VIEW monitoring.api_requests AS
SELECT requests.at, requests.route, requests.status, requests.milliseconds, keys.key_name, requests.arm,
       requests.model_version, requests.challenger_version, requests.churn_probability, requests.risk_level
FROM churn.api_requests AS requests
LEFT JOIN churn.api_keys AS keys USING (key_id);

CREATE VIEW monitoring.api_log_batches AS
SELECT worker, row_count, dropped_count, written_at
FROM churn.api_log_batches;

-- Who may do what --------------------------------------------------------------------------------------------

REVOKE EXECUTE ON FUNCTION churn.keep_revocation(), churn.open_api_request_day(date), churn.drop_api_requests(date),
    churn.erase_api_requests(text) FROM PUBLIC;

GRANT SELECT ON churn.api_keys, churn.api_requests, churn.api_log_batches, monitoring.api_requests,
    monitoring.api_log_batches, monitoring.arm_comparisons TO churn_pipeline;
GRANT INSERT (key_id, key_name, secret_hash, scopes, requests_per_minute, expires_at), UPDATE (revoked_at)
    ON churn.api_keys TO churn_pipeline;
GRANT INSERT, UPDATE ON monitoring.arm_comparisons TO churn_pipeline;
GRANT EXECUTE ON FUNCTION churn.drop_api_requests(date), churn.erase_api_requests(text) TO churn_pipeline;

GRANT SELECT (key_id, key_name, secret_hash, scopes, requests_per_minute, expires_at, revoked_at)
    ON churn.api_keys TO churn_api;
GRANT INSERT ON churn.api_requests TO churn_api;
GRANT INSERT (batch_id, worker, row_count, dropped_count) ON churn.api_log_batches TO churn_api;
GRANT EXECUTE ON FUNCTION churn.open_api_request_day(date) TO churn_api;

GRANT SELECT ON monitoring.api_requests, monitoring.api_log_batches, monitoring.arm_comparisons TO grafana_reader;
