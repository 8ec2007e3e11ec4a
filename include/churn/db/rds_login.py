"""Logging in to RDS by IAM: a token that is signed on this machine takes the password's place, at every connection.

A token opens connections for 15 minutes; one that is open stays open. RDS takes it over TLS only.
"""

from collections.abc import Callable, Mapping

import sqlalchemy

from churn.db.database import Database
from churn.errors import ConfigurationError

_TLS = ("require", "verify-ca", "verify-full")


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """A URL with connection parameters, such as sslmode, added to its own."""
    return sqlalchemy.make_url(url).update_query_dict(parameters).render_as_string(hide_password=False)


def rds_database(url: str, token: Callable[[], str]) -> Database:
    """A database that is logged in to with a fresh token each time, over TLS.

    Raises ConfigurationError where the URL asks for a connection that may go without.
    """
    asked = sqlalchemy.make_url(url).query.get("sslmode", _TLS[0])
    if asked not in _TLS:
        raise ConfigurationError(
            f"sslmode={asked} would send the IAM token without TLS.", f"Choose one of {', '.join(_TLS)}."
        )
    return Database(with_parameters(url, {"sslmode": str(asked)}), token)


def rds_token(url: str) -> Callable[[], str]:
    """A maker of tokens for the role and server of a URL, with the credentials of this process."""
    import boto3

    address = sqlalchemy.make_url(url)
    client = boto3.Session().client("rds")  # the default one would keep the credentials of its first use
    return lambda: client.generate_db_auth_token(address.host, address.port or 5432, address.username)
