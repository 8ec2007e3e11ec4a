"""RDS IAM: each connection is made with a token of its own, over TLS; nothing else gets in."""

import asyncio
import time
from collections.abc import Iterator

import asyncpg
import pytest
import sqlalchemy

from churn.db.database import Database
from churn.errors import ConfigurationError, DatabaseUnavailable
from churn.services import Services
from churn.settings import Settings
from tests.conftest import PASSWORD
from tests.rds_front import RdsFront, listening, write_certificate
from tests.recovery import empty_server

WHO = "SELECT current_user AS role"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RdsFront]:
    """The role `mlflow` of a real server, as RDS lets it in."""
    certificate = tmp_path_factory.mktemp("front") / "front.pem"
    write_certificate(certificate)
    with empty_server(hba="host all mlflow 127.0.0.1/32 password\n") as server:
        front = RdsFront(server.port, "mlflow", PASSWORD, "only-for-tests-key", certificate)
        with listening(front):
            yield front


@pytest.fixture
def database(front: RdsFront, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The database as a job gets it, where CHURN_DATABASE_IAM is switched on."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, front.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return services_of(front, "verify-full").database


def services_of(front: RdsFront, sslmode: str) -> Services:
    parameters = f"sslmode={sslmode}&sslrootcert={front.certificate}"
    url = f"postgresql://mlflow@127.0.0.1:{front.port}/postgres?{parameters}"
    settings = Settings.model_validate(
        {"database_url": url, "database_iam": True, "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    )
    return Services.from_settings(settings)


def who(database: Database) -> str:
    with database.transaction() as connection:
        row = connection.execute(WHO).fetchone() or {}
    return str(row["role"])


def test_every_way_to_the_database_logs_in_with_a_token(front: RdsFront, database: Database) -> None:
    front.tokens.clear()
    assert who(database) == "mlflow"
    engine = sqlalchemy.create_engine(database.sqlalchemy_url_with({"application_name": "suite"}))
    with engine.connect() as connection:
        assert connection.exec_driver_sql(WHO).scalar() == "mlflow"
    engine.dispose()

    async def stream() -> str:
        connection = await asyncpg.connect(database.url)
        try:
            return str(await connection.fetchval(WHO))
        finally:
            await connection.close()

    assert asyncio.run(stream()) == "mlflow"
    assert len(front.tokens) == 3
    assert database.address == f"127.0.0.1:{front.port}/postgres"  # what messages show


def test_a_token_that_has_expired_is_not_used_again(front: RdsFront, database: Database) -> None:
    front.lifetime_seconds = 2
    try:
        old = database.url
        time.sleep(4)  # tokens are dated in whole seconds
        with pytest.raises(DatabaseUnavailable, match="PAM authentication failed"):
            who(Database(old))
        assert front.refused[-1] == "expired"
        assert who(database) == "mlflow"
    finally:
        front.lifetime_seconds = 900


def test_a_token_of_somebody_else_lets_nobody_in(
    front: RdsFront, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-key-for-tests")
    with pytest.raises(DatabaseUnavailable, match="PAM authentication failed"):
        who(services_of(front, "require").database)
    assert front.refused[-1] == "not signed by us"


def test_a_token_never_goes_without_tls(front: RdsFront, database: Database) -> None:
    with pytest.raises(ConfigurationError, match="without TLS"):
        services_of(front, "prefer")
    assert "sslmode=require" in services_of(front, "require").database.url
