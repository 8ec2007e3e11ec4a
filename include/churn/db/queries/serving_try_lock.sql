-- Until the end of the transaction, so a worker that dies leaves nothing behind.
SELECT pg_try_advisory_xact_lock(hashtextextended('serving.kept_answers ' || %(caller)s || ' ' || %(idempotency_key)s, 0))
    AS got
