SELECT count(*) AS bad_count
FROM staging.customers_extract
WHERE ({is_admissible}) IS NOT TRUE
