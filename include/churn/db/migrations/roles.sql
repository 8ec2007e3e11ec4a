-- Roles are cluster-wide, so creating them must be safe when another database of the same server already did.
-- They cannot log in until `churn db set-passwords` gives them a password.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['churn_owner', 'churn_pipeline', 'churn_api', 'crm_reader', 'grafana_reader']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another migration created it in between
            END;
        END IF;
    END LOOP;
    EXECUTE format('GRANT churn_owner TO %I', current_user);
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CREATE ON DATABASE %I TO churn_owner', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO churn_owner, churn_pipeline, churn_api, crm_reader, grafana_reader',
        current_database()
    );
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS churn AUTHORIZATION churn_owner;
