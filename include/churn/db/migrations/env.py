"""Alembic's entry: runs the reviewed SQL files of versions/ as churn_owner, in one transaction."""

from alembic import context

from churn.db.migrations import VERSION_SCHEMA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    version_table_schema=VERSION_SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
