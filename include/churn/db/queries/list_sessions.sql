SELECT usename AS role_name, application_name
FROM pg_stat_activity
WHERE datname = %(name)s AND backend_type = 'client backend'
