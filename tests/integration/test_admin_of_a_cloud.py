"""Where no superuser is to be had, as on RDS: an admin who may make databases and roles is enough."""

import psycopg
import pytest

from churn.db.database import Database
from churn.db.migrations import LOGIN_ROLES, migrate, needed_revision, set_password
from churn.platform.databases import create_databases, set_stamp, stamp_of
from churn.platform.ports import LOOPBACK
from tests.conftest import PASSWORD
from tests.recovery import empty_server

ADMIN_PASSWORD = "drawn-by-a-cloud"


@pytest.fixture(scope="module")
def port():
    with empty_server() as server:
        with Database(server.url("postgres", "postgres")).transaction() as connection:
            connection.execute("DROP ROLE mlflow")
            connection.execute(f"CREATE ROLE cloud_admin LOGIN CREATEDB CREATEROLE PASSWORD '{ADMIN_PASSWORD}'")
        yield server.port


def url(port: int, role: str, password: str, database: str) -> str:
    return f"postgresql://{role}:{password}@{LOOPBACK}:{port}/{database}"


def test_it_makes_databases_roles_and_schemas_and_may_do_so_again(port):
    admin = {name: url(port, "cloud_admin", ADMIN_PASSWORD, name) for name in ("postgres", "churn", "airflow")}
    for password in ("first", PASSWORD):
        create_databases(admin["postgres"], {"airflow": password, "mlflow": password})
        assert migrate(Database(admin["churn"])) == needed_revision()
        for role in LOGIN_ROLES:
            set_password(Database(admin["churn"]), role, password)
        set_stamp(admin["airflow"], f"prepared with {password}")
    assert stamp_of(admin["airflow"]) == f"prepared with {PASSWORD}"


@pytest.mark.parametrize("name", ["airflow", "mlflow"])
def test_what_it_made_belongs_to_its_owner(port, name):
    with psycopg.connect(url(port, name, PASSWORD, name)) as connection:
        connection.execute("CREATE TABLE of_its_own (id integer)")


def test_an_owner_cannot_enter_the_database_of_another(port):
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(url(port, "airflow", PASSWORD, "churn"))
