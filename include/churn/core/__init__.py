"""Pure functions of values: no settings, no clock, no file, no service."""
