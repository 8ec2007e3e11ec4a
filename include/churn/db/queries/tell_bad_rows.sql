SELECT line_number, {reasons} AS reasons
FROM staging.customers_extract AS row_values
WHERE ({is_admissible}) IS NOT TRUE
ORDER BY line_number
LIMIT %(limit)s
