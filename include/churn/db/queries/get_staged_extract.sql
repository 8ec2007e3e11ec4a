SELECT obj_description(to_regclass('staging.customers_extract'), 'pg_class') AS staged
