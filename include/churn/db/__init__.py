"""The only code that speaks SQL: one module a table, statements in queries/."""
