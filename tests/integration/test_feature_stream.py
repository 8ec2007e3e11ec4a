"""What is streamed is what the encoder gives for the same customers, read the slow way."""

import numpy as np
import pytest
from psycopg import sql

from churn.core.feature_packing import STORED
from churn.core.features import EncodedColumn, FeatureEncoder
from churn.db import feature_stream
from churn.db.feature_stream import packed_word, read_blocks
from churn.errors import DatabaseUnavailable
from churn.services import Services
from tests.conftest import TestDatabase
from tests.jobs import admit_simulated
from tests.nights import current_customers

EVERYONE = sql.SQL("churn.customer_history AS history WHERE history.extract_id = 1")


def test_customers_come_in_blocks_encoded_as_the_model_asks(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit_simulated(services, count=20_000)
    monkeypatch.setattr(feature_stream, "BLOCK_BYTES", 20_000)
    columns = FeatureEncoder.from_contract().columns
    own = FeatureEncoder(
        tuple(EncodedColumn(c.name, ("Weekly", "Two year")) if c.name == "Contract" else c for c in reversed(columns))
    )
    frame = current_customers(services)
    for encoder in (FeatureEncoder.from_contract(), own):
        blocks = list(read_blocks(services.database, encoder, EVERYONE))
        assert len(blocks) > 1
        keys = np.concatenate([block.customer_ids.to_numpy(zero_copy_only=False) for block in blocks])
        in_key_order = np.argsort(keys)
        assert keys[in_key_order].tolist() == frame.customerID.tolist()
        matrix = np.vstack([block.matrix for block in blocks])[in_key_order]
        assert matrix.tobytes() == encoder.encode(frame).tobytes()


def test_what_the_history_stores_is_the_contract_packed(services: Services, churn_database: TestDatabase) -> None:
    admit_simulated(services, count=1_000)
    with churn_database.as_role("postgres").transaction() as connection:
        connection.execute("UPDATE churn.customer_history SET contract = 'Weekly', partner = '' WHERE tenure > 30")
        statement = sql.SQL("SELECT count(*) AS n FROM churn.customer_history AS history WHERE packed_categories = {}")
        row = connection.execute(statement.format(packed_word(STORED))).fetchone()
    assert row == {"n": 1_000}


def test_no_customers_give_no_blocks(services: Services) -> None:
    admit_simulated(services, count=10)
    nobody = sql.SQL("churn.customer_history AS history WHERE history.extract_id = 99")
    assert list(read_blocks(services.database, FeatureEncoder.from_contract(), nobody)) == []


def test_a_statement_that_fails_in_the_middle_is_not_taken_for_the_end(services: Services) -> None:
    admit_simulated(services, count=2_000)
    failing = sql.SQL("churn.customer_history AS history WHERE extract_id = 1 AND 1 / (tenure - 40) > -99")
    with pytest.raises(Exception, match="division by zero"):
        list(read_blocks(services.database, FeatureEncoder.from_contract(), failing))


def test_a_lost_connection_says_what_to_do(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    admit_simulated(services, count=5_000)
    monkeypatch.setattr(feature_stream, "BLOCK_BYTES", 10_000)
    blocks = read_blocks(
        services.database,
        FeatureEncoder.from_contract(),
        sql.SQL("{0}, generate_series(1, 200)").format(sql.SQL("(SELECT * FROM churn.customer_history) AS history")),
    )
    next(blocks)
    with services.database.transaction() as connection:
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND usename = user"
        assert len(connection.execute(statement).fetchall()) == 1
    with pytest.raises(DatabaseUnavailable, match="Run this again"):
        list(blocks)
