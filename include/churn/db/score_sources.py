"""Which customers a step of a scoring run reads: what follows FROM, over churn.customer_history AS history."""

from psycopg import sql

from churn.columns import FEATURES
from churn.records import ScoringPart, ScoringRun


def customers_of(run: ScoringRun, part: ScoringPart) -> sql.Composed:
    """The customers of one part."""
    return sql.SQL("churn.customer_history AS history WHERE {}").format(in_part(run, part))


def changed_customers_of(run: ScoringRun, part: ScoringPart, base: ScoringRun) -> sql.Composed:
    """The customers of one part whom the base run did not score with the very same features."""
    return sql.SQL("{} AND NOT EXISTS (SELECT FROM (VALUES (true)) AS one {})").format(
        customers_of(run, part), unchanged_since(base)
    )


def risky_customers_of(run: ScoringRun, part: ScoringPart, lowest: float, before: float) -> sql.Composed:
    """The customers of one part of a sealed run with `lowest` <= probability < `before`."""
    return sql.SQL(
        "churn.customer_history AS history JOIN churn.scores AS scores USING (customer_id)"
        " WHERE {in_part} AND scores.scoring_run_id = {run}"
        " AND scores.churn_probability >= {lowest} AND scores.churn_probability < {before}"
    ).format(
        in_part=in_part(run, part),
        run=sql.Literal(run.scoring_run_id),
        lowest=sql.Literal(lowest),
        before=sql.Literal(before),
    )


def in_part(run: ScoringRun, part: ScoringPart) -> sql.Composed:
    """A condition on history: the run's extract, and the part's keys."""
    conditions = [sql.SQL("history.extract_id = {}").format(sql.Literal(run.extract_id))]
    if part.from_key is not None:
        conditions.append(sql.SQL("history.customer_id >= {}").format(sql.Literal(part.from_key)))
    if part.before_key is not None:
        conditions.append(sql.SQL("history.customer_id < {}").format(sql.Literal(part.before_key)))
    return sql.SQL(" AND ").join(conditions)


def unchanged_since(base: ScoringRun) -> sql.Composed:
    """Joins that keep a customer of history with the score of the base run, where every feature is the same."""
    same = [sql.SQL("before.{0} = history.{0}").format(sql.Identifier(column.sql_name)) for column in FEATURES]
    return sql.SQL(
        "JOIN churn.customer_history AS before"
        " ON before.extract_id = {extract} AND before.customer_id = history.customer_id AND {same}"
        " JOIN churn.scores AS base_scores"
        " ON base_scores.scoring_run_id = {run} AND base_scores.customer_id = history.customer_id"
    ).format(
        extract=sql.Literal(base.extract_id), same=sql.SQL(" AND ").join(same), run=sql.Literal(base.scoring_run_id)
    )
