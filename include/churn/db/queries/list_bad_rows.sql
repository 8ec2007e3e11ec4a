-- A statement of its own, because only one that changes nothing is worked on by several processes.
SELECT line_number
FROM staging.customers_extract AS row_values
WHERE ({is_admissible}) IS NOT TRUE
LIMIT %(limit)s
