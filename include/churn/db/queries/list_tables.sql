-- What outlives a task: `staging` is made anew by each validation.
SELECT nspname AS schema_name, relname AS table_name
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND relpersistence = 'p'
  AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'staging')
ORDER BY 1, 2
