-- Lives no longer than the transaction that makes it. Record 1 of the file is the header.
CREATE UNLOGGED TABLE staging.released_rows (
    record_number bigint GENERATED ALWAYS AS IDENTITY (START 2),
    line_number text,
    {columns}
)
