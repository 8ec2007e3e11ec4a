-- Unlogged: a crash may empty it, the next validation makes it anew. Line 1 is the header.
-- Without autovacuum, which would look at a table that is gone in seconds, and be waited for when it is dropped.
CREATE UNLOGGED TABLE staging.customers_extract (
    line_number bigint GENERATED ALWAYS AS IDENTITY (START 2 CACHE 1000),
    {columns}
) WITH (autovacuum_enabled = false)
