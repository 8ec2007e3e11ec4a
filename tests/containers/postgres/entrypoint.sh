#!/bin/bash
# What the official image's entry point does, as far as docker-compose.yaml asks it to.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
  chown postgres: "$PGDATA" /run/postgresql
  exec gosu postgres "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # shellcheck disable=SC2086 - a list of options
  initdb ${POSTGRES_INITDB_ARGS:-} --username=postgres --pwfile=<(echo "$POSTGRES_PASSWORD") >/dev/null
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
fi
exec "$@"
