"""The rules of one staged row as SQL, composed from the column contract.

great_expectations/expectations/customers_rows.json says the same for reviewers and is held to it by tests; this is
what runs, because it finds every bad row with every reason in one scan.

Every field is text here. A cast happens only behind a pattern and a length, inside a CASE (the planner may
reorder the terms of an AND), so no value can make a statement fail. Fields are held against each other only
where each is fine by itself, so nothing is complained about twice.
"""

from psycopg import sql

from churn.columns import (
    BILL_SLACK,
    BROKEN_BILL_FACTOR,
    BY_NAME,
    COLUMNS,
    DEPENDENCIES,
    FEATURES,
    KEY,
    LABEL,
    MAXIMUM_KEY_LENGTH,
    Column,
)

_WHOLE_NUMBER = "^-?[0-9]+$"
_NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"
PATTERN = {"integer": _WHOLE_NUMBER, "amount": _NUMBER}
SAFE_LENGTH = {
    "integer": 9,
    "amount": 40,
}  # what a cast can take; a bounded pattern would be three times slower
_SQL_TYPE = {"integer": "integer", "amount": "double precision"}
_CONTROL = r"[\u0001-\u001F\u007F-\u009F]"
UNTIDY_KEY = rf"^\s|\s$|{_CONTROL}"
ZERO = "^-?0+$"
_SOME_DIGIT = "[0-9]"
_SHOWN_LENGTH = 40

_TENURE = BY_NAME["tenure"]
_MONTHLY = BY_NAME["MonthlyCharges"]
_TOTAL = BY_NAME["TotalCharges"]


def is_admissible() -> sql.Composed:
    """A condition that is true for rows that break no rule (NULL or false for the others)."""
    fits = [_agrees(service, absent, dependent) for service, absent, dependent in _dependents()]
    return sql.SQL("CASE WHEN {fields_hold} THEN {they_fit} ELSE false END").format(
        fields_hold=_fields_hold(), they_fit=sql.SQL(" AND ").join([*fits, _bill_is_plausible()])
    )


def reasons() -> sql.Composed:
    """An array with a reason for each column that breaks a rule; each begins with the column's name."""
    misfits = [_misfit(service, absent, dependent) for service, absent, dependent in _dependents()]
    return sql.SQL(
        "array_remove(CASE WHEN {fields_hold} THEN ARRAY[{misfits}]::text[] ELSE ARRAY[{wrong}]::text[] END, NULL)"
    ).format(
        fields_hold=_fields_hold(),
        misfits=sql.SQL(", ").join([*misfits, _implausible_bill()]),
        wrong=sql.SQL(", ").join(_reason(column) for column in COLUMNS),
    )


def target_columns() -> sql.Composed:
    """The columns of customer_history that come from the file, in the order of `admitted_values`."""
    return sql.SQL(", ").join(sql.Identifier(column.sql_name) for column in COLUMNS)


def admitted_values() -> sql.Composed:
    """The values of a row in the types of customer_history. It casts: only for rows that break no rule."""
    label = sql.SQL("CASE {} WHEN 'Yes' THEN true WHEN 'No' THEN false END").format(_name(LABEL))
    return sql.SQL(", ").join([_name(KEY), *map(_value, FEATURES), label])


def _name(column: Column) -> sql.Identifier:
    return sql.Identifier(column.name)


def _value(column: Column) -> sql.Composable:
    if not column.is_number:
        return _name(column)
    number = sql.SQL("{}::{}").format(_name(column), sql.SQL(_SQL_TYPE[column.kind]))
    if column is not _TOTAL:
        return number
    # Blank at tenure 0: nothing has been billed yet.
    return sql.SQL("CASE WHEN {} ~ {} THEN {} ELSE 0 END").format(_name(column), sql.Literal(_SOME_DIGIT), number)


def _is_safe(column: Column) -> sql.Composed:
    return sql.SQL("length({name}) <= {length} AND {name} ~ {pattern}").format(
        name=_name(column),
        length=sql.Literal(SAFE_LENGTH[column.kind]),
        pattern=sql.Literal(PATTERN[column.kind]),
    )


def _is_blank(column: Column) -> sql.Composed:
    return sql.SQL(r"({name} IS NULL OR {name} ~ '^\s*$')").format(name=_name(column))


def _is_in_range(column: Column) -> sql.Composed:
    return sql.SQL("CASE WHEN {safe} THEN {name}::{type} BETWEEN {minimum} AND {maximum} ELSE false END").format(
        safe=_is_safe(column),
        name=_name(column),
        type=sql.SQL(_SQL_TYPE[column.kind]),
        minimum=sql.Literal(column.minimum),
        maximum=sql.Literal(column.maximum),
    )


def _is_allowed(column: Column) -> sql.Composed:
    return sql.SQL("{} IN ({})").format(_name(column), sql.SQL(", ").join(map(sql.Literal, column.categories)))


def _holds(column: Column) -> sql.Composable:
    if column.kind == "key":
        # By the database's own collation, which knows white space beyond ASCII.
        return sql.SQL('length({name}) BETWEEN 1 AND {limit} AND {name} COLLATE "default" !~ {untidy}').format(
            name=_name(column), limit=sql.Literal(MAXIMUM_KEY_LENGTH), untidy=sql.Literal(UNTIDY_KEY)
        )
    if column.kind == "label":
        return sql.SQL("({} OR {})").format(_is_blank(column), _is_allowed(column))
    if column is _TOTAL:
        return sql.SQL("({} OR ({} AND {} ~ {}))").format(
            _is_in_range(column), _is_blank(column), _name(_TENURE), sql.Literal(ZERO)
        )
    return _is_in_range(column) if column.is_number else _is_allowed(column)


def _fields_hold() -> sql.Composed:
    return sql.SQL(" AND ").join(_holds(column) for column in COLUMNS)


def _dependents() -> list[tuple[Column, str, Column]]:
    return [
        (BY_NAME[each.service], each.absent, BY_NAME[dependent])
        for each in DEPENDENCIES
        for dependent in each.dependents
    ]


def _agrees(service: Column, absent: str, dependent: Column) -> sql.Composed:
    return sql.SQL("({} = 'No') = ({} = {})").format(_name(service), _name(dependent), sql.Literal(absent))


def _misfit(service: Column, absent: str, dependent: Column) -> sql.Composed:
    return sql.SQL("CASE WHEN NOT ({agrees}) THEN {told} || {dependent} || {beside} || {service} || {end} END").format(
        agrees=_agrees(service, absent, dependent),
        told=sql.Literal(f"{dependent.name} is '"),
        dependent=_name(dependent),
        beside=sql.Literal(f"' while {service.name} is '"),
        service=_name(service),
        end=sql.Literal("'"),
    )


def _bill_is_plausible() -> sql.Composed:
    """Whether TotalCharges can be of this tenure and these MonthlyCharges. It casts: only where the fields hold."""
    # The running month may be billed already. What lies within the slack is most rows: the rest is reckoned for few.
    return sql.SQL(
        "CASE WHEN {total} ~ {some_digit} THEN abs({total}::double precision - {billed}) <= {slack}"
        " OR {total}::double precision BETWEEN least({billed} / {factor}, {billed} - {slack})"
        " AND greatest({a_month_more} * {factor}, {a_month_more} + {slack}) ELSE true END"
    ).format(
        total=_name(_TOTAL),
        some_digit=sql.Literal(_SOME_DIGIT),
        billed=sql.SQL("{}::integer * {}::double precision").format(_name(_TENURE), _name(_MONTHLY)),
        a_month_more=sql.SQL("({}::integer + 1) * {}::double precision").format(_name(_TENURE), _name(_MONTHLY)),
        factor=sql.Literal(BROKEN_BILL_FACTOR),
        slack=sql.Literal(BILL_SLACK),
    )


def _implausible_bill() -> sql.Composed:
    return sql.SQL(
        "CASE WHEN NOT ({plausible}) THEN {told} || {total} || {beside} || {tenure} || ' months at ' || {monthly}"
        " || ' come to ' || round(({tenure}::integer * {monthly}::double precision)::numeric, 2) END"
    ).format(
        plausible=_bill_is_plausible(),
        told=sql.Literal(f"{_TOTAL.name} is '"),
        beside=sql.Literal("' while "),
        total=_name(_TOTAL),
        tenure=_name(_TENURE),
        monthly=_name(_MONTHLY),
    )


def _reason(column: Column) -> sql.Composed:
    """The first rule that the column breaks, in words, or NULL."""
    cases = [sql.SQL("WHEN {} THEN {}").format(broken, told) for broken, told in _broken_rules(column)]
    return sql.SQL("CASE {} END").format(sql.SQL(" ").join(cases))


def _broken_rules(column: Column) -> list[tuple[sql.Composable, sql.Composable]]:
    holds = sql.SQL("({}) IS TRUE").format(_holds(column))
    blank = sql.Literal(f"{column.name} is blank")
    rules: list[tuple[sql.Composable, sql.Composable]] = [(holds, sql.SQL("NULL"))]
    if column is _TOTAL:
        rules += [
            (sql.SQL("{} AND {}").format(_is_blank(column), _is_in_range(_TENURE)), _blank_while_billed()),
            (_is_blank(column), sql.SQL("NULL")),  # the tenure of this row is told as wrong already
        ]
    rules.append((_is_blank(column), blank))
    rules += [(broken, _told(column, what)) for broken, what in _wrong_values(column)]
    return rules


def _wrong_values(column: Column) -> list[tuple[sql.Composable, str]]:
    always = sql.SQL("true")
    if column.kind == "key":
        return [
            (
                sql.SQL("length({}) > {}").format(_name(column), sql.Literal(MAXIMUM_KEY_LENGTH)),
                f"longer than {MAXIMUM_KEY_LENGTH} characters",
            ),
            (
                sql.SQL('{} COLLATE "default" ~ {}').format(_name(column), sql.Literal(_CONTROL)),
                "with a control character in it",
            ),
            (always, "with white space around it"),
        ]
    if not column.is_number:
        return [(always, f"not one of {', '.join(column.categories)}")]
    pattern, kind = (_WHOLE_NUMBER, "a whole number") if column.kind == "integer" else (_NUMBER, "a number")
    return [
        (sql.SQL("{} !~ {}").format(_name(column), sql.Literal(pattern)), f"not {kind}"),
        (always, f"outside {column.minimum:.0f} to {column.maximum:.0f}"),
    ]


def _blank_while_billed() -> sql.Composed:
    return sql.SQL("{} || {}").format(sql.Literal(f"{_TOTAL.name} is blank while {_TENURE.name} is "), _name(_TENURE))


def _told(column: Column, what: str) -> sql.Composed:
    """Field, value (shortened, printable) and what is wrong with it."""
    return sql.SQL("{field} || regexp_replace(left({name}, {length}), {control}, '?', 'g') || {cut} || {what}").format(
        field=sql.Literal(f"{column.name} is '"),
        name=_name(column),
        length=sql.Literal(_SHOWN_LENGTH),
        control=sql.Literal(_CONTROL),
        cut=sql.SQL("CASE WHEN length({}) > {} THEN '…' ELSE '' END").format(_name(column), sql.Literal(_SHOWN_LENGTH)),
        what=sql.Literal(f"', {what}"),
    )
