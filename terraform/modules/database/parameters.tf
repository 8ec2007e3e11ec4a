# What the night does to PostgreSQL: COPY of the whole base out and in within minutes, then small reads all day.
locals {
  parameters = {
    # No connection without TLS, whatever a client asks for.
    "rds.force_ssl"       = { value = "1" }
    "password_encryption" = { value = "scram-sha-256" }

    # A COPY of ten million rows writes a few GB of WAL. With the default of 1 GB each forces checkpoints one after another,
    # and every page is written whole again after each. 8 GB and 15 minutes let the night pass in few of them.
    "max_wal_size"                 = { value = "8192" } # MB
    "checkpoint_timeout"           = { value = "900" }  # s
    "checkpoint_completion_target" = { value = "0.9" }
    "wal_compression"              = { value = "zstd" } # whole pages compress well, and WAL also travels to the standby
    # The key of a sealed run is built over all of its rows.
    "maintenance_work_mem" = { value = "524288" } # kB

    # A client that died in a transaction holds its locks, and vacuum back, for no longer than this.
    "idle_in_transaction_session_timeout" = { value = "600000" } # ms; no step of ours waits that long
    # A machine that died is noticed within a minute where the server waits for it.
    "tcp_keepalives_idle"     = { value = "30" } # s
    "tcp_keepalives_interval" = { value = "10" } # s
    "tcp_keepalives_count"    = { value = "3" }

    # What was slow, and who waited for whom, without a customer's value in it.
    "log_min_duration_statement"     = { value = "2000" } # ms
    "log_parameter_max_length"       = { value = "0" }
    "log_lock_waits"                 = { value = "1" }
    "log_connections"                = { value = "1" }
    "log_disconnections"             = { value = "1" }
    "log_temp_files"                 = { value = "65536" } # kB
    "log_autovacuum_min_duration"    = { value = "10000" } # ms
    "track_io_timing"                = { value = "1" }
    "shared_preload_libraries"       = { value = "pg_stat_statements", restart = true }
    "autovacuum_vacuum_scale_factor" = { value = "0.05" }
  }
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "postgres${local.major}"
  description = "Forced TLS, WAL sized for COPY, logs that answer questions"

  dynamic "parameter" {
    for_each = local.parameters
    content {
      name         = parameter.key
      value        = parameter.value.value
      apply_method = try(parameter.value.restart, false) ? "pending-reboot" : "immediate"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
