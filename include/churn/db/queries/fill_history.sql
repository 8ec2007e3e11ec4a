-- The casts stand in the list of columns, where only rows come that the condition has let pass.
-- In key order, so that key ranges read neighbouring pages.
INSERT INTO {table} (extract_id, snapshot_date, {target_columns})
SELECT %(extract_id)s, %(snapshot_date)s, {admitted_values}
FROM staging.customers_extract AS row_values
WHERE ctid >= format('(%%s,0)', %(first_block)s::bigint)::tid AND ctid < format('(%%s,0)', %(end_block)s::bigint)::tid
  AND NOT line_number = ANY (%(bad_line_numbers)s)
ORDER BY {key} COLLATE "C"
