"""What a bench scores: four trained candidates in the registry, and N admitted customers a database.

The prepared databases are never scored: each run works on a copy, so every run starts from the same pages.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

from psycopg import sql

from churn.core import training
from churn.core.candidates import CANDIDATES, Kind
from churn.db import extracts, history
from churn.db.database import Connection, Database
from churn.db.migrations import LOGIN_ROLES, migrate, set_password
from churn.jobs.validate_customers import validate_customers
from churn.platform.postgres import create_database
from churn.policy import Policy
from churn.records import Extract, LandedFile
from churn.services import Services
from churn.settings import PROJECT
from churn.simulator import write_extract
from tests.benchmarks.multiplication import copied_columns, copied_key, copied_values
from tests.benchmarks.servers import PASSWORD, Bench
from tests.jobs import DAY, simulated_training

log = logging.getLogger(__name__)

LARGEST_VALIDATED = 100_000  # customers; larger tables are multiplied from it
TRAINED_COUNT, TRAINED_SEED, CUSTOMERS_SEED = 7_043, 1, 2
PRODUCTION_KIND: Kind = "lightgbm"
PEERS_SCHEMA = "peers"
PREPARED_BY = (
    *("include/churn/db/migrations", "include/churn/columns.py", "include/churn/simulator.py"),
    "tests/benchmarks/multiplication.py",
)


def register_models(services: Services, kinds: Iterable[Kind] = CANDIDATES) -> dict[str, int]:
    """Train and register candidates with the project's defaults, promote LightGBM; return versions by kind."""
    policy = Policy()
    versions: dict[str, int] = {}
    data = simulated_training(TRAINED_COUNT, TRAINED_SEED)
    for kind in kinds:
        model = training.fit_model(kind, data, policy)
        with services.tracking.start_run(f"bench {kind}") as run:
            reference = training.draw_reference(model, data, policy)
            versions[kind] = services.registry.register(model, run.run_id, reference, policy).version
        log.info("Registered %s as version %s.", kind, versions[kind])
    services.registry.promote(versions[PRODUCTION_KIND])
    return versions


def prepare_customers(bench: Bench, count: int, base: int) -> str:
    """Make the database that holds `count` admitted customers, unless it is there; return its name."""
    name, stamp = f"prepared_{count}", f"{count} customers from {base}, {_fingerprint()}"
    if _stamp_of(bench, name) == stamp:
        log.info("%s customers are prepared already.", f"{count:,}")
        return name
    _drop(bench, name)
    if count == base:
        _admit(bench, name, count)
    else:
        _copy(bench, prepare_customers(bench, base, base), name)
        multiply(Database(bench.url(name)), count, base)
    with bench.admin(name) as admin:
        admin.execute("VACUUM (ANALYZE)")
        admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(stamp)))
    return name


@contextmanager
def working_copy(bench: Bench, prepared: str, count: int) -> Iterator[str]:
    """A database that starts as the prepared one, with a schema for the peers' tables; dropped at the end."""
    name = f"bench_{count}"
    _drop(bench, name)
    _copy(bench, prepared, name)
    try:
        _add_peers_schema(bench, name)
        yield name
    finally:
        _drop(bench, name)


@contextmanager
def empty_copy(bench: Bench) -> Iterator[str]:
    """A migrated database without customers, with a schema for the peers' tables; dropped at the end."""
    name = "bench_empty"
    _drop(bench, name)
    _migrate(bench, name)
    try:
        _add_peers_schema(bench, name)
        yield name
    finally:
        _drop(bench, name)


def _add_peers_schema(bench: Bench, name: str) -> None:
    with bench.admin(name) as admin:
        admin.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION churn_pipeline").format(sql.Identifier(PEERS_SCHEMA)))


def _migrate(bench: Bench, name: str) -> None:
    create_database(bench.url("postgres", "postgres"), name)
    admin = Database(bench.url(name, "postgres"))
    migrate(admin)
    for role in LOGIN_ROLES:
        set_password(admin, role, PASSWORD)


def _admit(bench: Bench, name: str, count: int) -> None:
    """Bring simulated customers in as an operator does: landed, validated, admitted."""
    log.info("Validating %s customers.", f"{count:,}")
    _migrate(bench, name)
    services = bench.services(name)
    landed = Path(services.landing.url) / f"customers-{DAY}.csv"
    landed.parent.mkdir(parents=True, exist_ok=True)
    write_extract(landed, count, CUSTOMERS_SEED)
    (outcome,) = validate_customers(services, str(landed))
    if outcome.extract.admitted_count != count:
        raise RuntimeError(f"{outcome.extract.admitted_count} of {count} simulated customers were admitted")


def multiply(database: Database, count: int, base: int) -> None:
    """Admit `count` customers, made from the `base` that are there, as the extract of the next day."""
    with database.transaction() as connection:
        source = extracts.current(connection)
        day, made = source.snapshot_date + timedelta(days=1), f"{count} multiplied from {base}"
        landed = LandedFile(made, day, hashlib.sha256(made.encode()).hexdigest(), 0)
        target = extracts.take_in(connection, landed, None, None)
        history.attach(connection, target, history.prepare(connection, target))
        for copy, done in enumerate(range(0, count, base)):
            limit = min(base, count - done)
            _insert_copy(connection, source.extract_id, target, copy, limit)
            log.info("%s of %s customers made.", f"{done + limit:,}", f"{count:,}")
        target = extracts.mark_admitted(connection, target, count, count, 0, None)
        if not extracts.point_customers_at(connection, target):
            raise RuntimeError("customers did not move to the multiplied extract")


def _insert_copy(connection: Connection, source_id: int, target: Extract, copy: int, limit: int) -> None:
    """Insert one more copy of the source's rows; copy by copy the keys rise, as they do in an admitted file."""
    statement = sql.SQL(
        "INSERT INTO churn.customer_history (extract_id, snapshot_date, {columns})"
        " SELECT {target_id}, {day}, {values} FROM churn.customer_history WHERE extract_id = {source_id}"
        " ORDER BY {key} LIMIT {limit}"
    ).format(
        columns=copied_columns(),
        target_id=sql.Literal(target.extract_id),
        day=sql.Literal(target.snapshot_date),
        values=copied_values(copy),
        source_id=sql.Literal(source_id),
        key=copied_key(copy),
        limit=sql.Literal(limit),
    )
    connection.execute(statement)


@cache
def _fingerprint() -> str:
    """Changes when a kept table would no longer be what this code makes."""
    named = [PROJECT / name for name in PREPARED_BY]
    files = [file for path in named for file in (sorted(path.rglob("*.sql")) if path.is_dir() else [path])]
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def _stamp_of(bench: Bench, name: str) -> str | None:
    with bench.admin() as admin:
        row = admin.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (name,)
        ).fetchone()
    return str(row[0]) if row else None


def _copy(bench: Bench, source: str, name: str) -> None:
    with bench.admin() as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (source,))
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(source)
            )
        )


def _drop(bench: Bench, name: str) -> None:
    with bench.admin() as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
