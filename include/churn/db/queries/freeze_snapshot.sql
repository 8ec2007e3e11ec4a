SELECT pg_export_snapshot() AS snapshot,
       current_setting('server_version_num')::integer AS server_version,
       shobj_description(oid, 'pg_database') AS comment
FROM pg_database
WHERE datname = current_database()
