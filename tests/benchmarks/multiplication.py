"""How a few validated customers become many: keys that rise copy by copy, values that differ a little.

What the product reads and the model splits on stays as in real data: prices on the 0.05 grid, whole months, no
debt before the first bill. The variation is a hash of key and copy: the same rows in every run.
"""

from psycopg import sql

from churn.columns import BY_NAME, COLUMNS, KEY, Column

LONGEST_TENURE = 72
_TENURE, _MONTHLY, _TOTAL = (BY_NAME[name] for name in ("tenure", "MonthlyCharges", "TotalCharges"))


def copied_columns() -> sql.Composed:
    """The columns of customer_history that come from the file, in the order of `copied_values`."""
    return sql.SQL(", ").join(_name(column) for column in COLUMNS)


def copied_values(copy: int) -> sql.Composed:
    """The values of one copy of a row. Copy 0 differs from its source in the key alone."""
    made = {KEY: copied_key(copy)}
    if copy:
        made |= {_TENURE: _tenure(copy), _MONTHLY: _amount(_MONTHLY, copy, 20), _TOTAL: _total(copy)}
    return sql.SQL(", ").join(made.get(column, _name(column)) for column in COLUMNS)


def copied_key(copy: int) -> sql.Composed:
    """A letter and three digits of the copy in place of the block of a simulated id: as long, and of nobody."""
    return sql.SQL('({} || substr({}, 5)) COLLATE "C"').format(
        sql.Literal(f"{chr(ord('A') + copy // 1000)}{copy % 1000:03d}"), _name(KEY)
    )


def _name(column: Column) -> sql.Identifier:
    return sql.Identifier(column.sql_name)


def _steps(copy: int, column: Column, widest: int) -> sql.Composed:
    """A whole number from -widest to widest."""
    return sql.SQL("((hashtextextended({}, {}) >> 8) & 65535) % {} - {}").format(
        _name(KEY), sql.Literal(copy * len(COLUMNS) + COLUMNS.index(column)), sql.Literal(2 * widest + 1),
        sql.Literal(widest),
    )  # fmt: skip


def _tenure(copy: int) -> sql.Composed:
    return sql.SQL("CASE WHEN {0} < 3 THEN {0} ELSE least({0} + {1}, {2})::integer END").format(
        _name(_TENURE), _steps(copy, _TENURE, 2), sql.Literal(LONGEST_TENURE)
    )


def _amount(column: Column, copy: int, widest: int) -> sql.Composed:
    """A price a few steps of 0.05 away, as the float64 that is nearest to its two decimals."""
    return sql.SQL("greatest(round({0}::numeric + 0.05 * ({1}), 2), 0)::double precision").format(
        _name(column), _steps(copy, column, widest)
    )


def _total(copy: int) -> sql.Composed:
    return sql.SQL("CASE WHEN {} = 0 THEN {} ELSE {} END").format(
        _name(_TENURE), _name(_TOTAL), _amount(_TOTAL, copy, 100)
    )
