-- What ANALYZE has counted in its sample of the staging table, so that nothing is scanned for it.
SELECT attname AS column_name, most_common_vals::text::text[] AS values, most_common_freqs AS shares
FROM pg_stats
WHERE schemaname = 'staging' AND tablename = 'customers_extract' AND attname = ANY (%(names)s)
