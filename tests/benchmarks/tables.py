"""The tables that a bench ends with, as plain values: shown on the terminal and written into the docs."""

from tests.benchmarks.endpoint_tables import endpoint_tables
from tests.benchmarks.limits import SERIAL, STREAMED, StageLimit, stage_limit
from tests.benchmarks.pieces import CLI, COMPARED, DOOR, DOOR_PEER, OURS, Piece
from tests.benchmarks.results import Measurement, Results
from tests.benchmarks.shown import Shown
from tests.benchmarks.targets import Target, endpoint_targets, night_targets

MENTIONED_MB = 100  # MLflow starts small ones to look at its environment
NOT_RUN = "not run: minutes each, see the smaller size"


def all_tables(results: Results) -> list[Shown]:
    """What was measured of the nights, then of the endpoint."""
    return [*night_tables(results), *request_tables(results)]


def request_tables(results: Results) -> list[Shown]:
    """The endpoint beside its peer, then the required lines."""
    shown = endpoint_tables(results)
    return [*shown, _targets("What must be shown of the endpoint", endpoint_targets(results))] if shown else []


def night_tables(results: Results) -> list[Shown]:
    """The pieces and the stages of each size, then the required lines."""
    if not results.sizes:
        return []
    shown = [
        table
        for size in results.sizes
        for table in (_pieces(results, size), _stages(results, size), _airflow(results, size), _door(results, size))
        if table
    ]
    return [*shown, _targets("What must be shown", night_targets(results))]


def _pieces(results: Results, size: int) -> Shown:
    columns = (
        *("piece", "rows/s", "rows/s with start-up", "seconds: median (least)", "with start-up: median (least)"),
        *("peak MB", "ours is faster by", "with start-up"),
    )
    rows = [_piece(results, size, piece) for piece in COMPARED if results.of(size, piece.name)]
    rows += [
        (piece.says, NOT_RUN, *[""] * (len(columns) - 2))
        for piece in COMPARED
        if not piece.runs_at(size) and not results.of(size, piece.name)
    ]
    if first := results.first_night(size):
        rows.append(_first_night(first))
    return Shown(f"{size:,} customers", columns, tuple(rows))


def _piece(results: Results, size: int, piece: Piece) -> tuple[str, ...]:
    found = results.of(size, piece.name)
    seconds, whole = results.seconds(size, piece.name), results.process_seconds(size, piece.name)
    return (
        piece.says,
        _rate(size, seconds),
        _rate(size, whole),
        _spread(seconds, [each.seconds for each in found if each.seconds is not None]),
        _spread(whole, [each.process_seconds for each in found]),
        _memory(results.peak_mb(size, piece.name), results.children_mb(size, piece.name)),
        _times(seconds, results.seconds(size, OURS.name)),
        _times(whole, results.process_seconds(size, CLI.name)),
    )


def _first_night(first: Measurement) -> tuple[str, ...]:
    """Not counted: nothing is cached yet, and there is no run before it."""
    return (
        "the first of our nights, not counted",
        _rate(first.size, first.seconds),
        _rate(first.size, first.process_seconds),
        f"{first.seconds or 0:.2f}",
        f"{first.process_seconds:.2f}",
        _memory(first.peak_mb, first.children_mb),
        "",
        "",
    )


def _stages(results: Results, size: int) -> Shown | None:
    stages = results.stages(size)
    limit = stage_limit(stages)
    if limit is None:
        return None
    rows = [
        (
            name,
            f"{cost['seconds']:.2f}",
            _rate(size, cost["seconds"]),
            f"{cost['client_cpu']:.2f}",
            f"{cost['server_cpu']:.2f}",
        )
        for name in (*STREAMED, *SERIAL)
        for cost in (stages[name],)
    ]
    rows += [(*row, "", "") for row in _held_against(results, size, limit)]
    columns = ("stage alone", "seconds", "rows/s", "CPU seconds, ours", "CPU seconds, server")
    return Shown(f"{size:,} customers: the limit, and where the rest goes", columns, tuple(rows))


def _held_against(results: Results, size: int, limit: StageLimit) -> list[tuple[str, str, str]]:
    """The limit, the job, and what lies between them, step by step as far as the job tells."""
    rows = [(f"perfectly overlapped on two cores (bound by {limit.bound_by})", f"{limit.seconds:.2f}", "")]
    rows[0] = (rows[0][0], rows[0][1], _rate(size, limit.seconds))
    seconds = results.seconds(size, OURS.name)
    if seconds is None:
        return rows
    rows.append((f"our job, {seconds / limit.seconds:.2f} x the limit", f"{seconds:.2f}", _rate(size, seconds)))
    steps = results.steps(size, OURS.name)
    rows += [(f"of it {name}", f"{taken:.2f}", "") for name, taken in steps.items()]
    if steps:
        rows.append(("of it outside of these steps", f"{seconds - sum(steps.values()):.2f}", ""))
    rows.append(("more than the limit", f"{seconds - limit.seconds:.2f}", ""))
    return rows


def _airflow(results: Results, size: int) -> Shown | None:
    seconds, waited = results.seconds(size, "airflow"), results.process_seconds(size, "airflow")
    if seconds is None or waited is None:
        return None
    rows = [("from trigger to success, by Airflow's clock", f"{seconds:.2f}")]
    rows += [(f"of it {task}", f"{taken:.2f}") for task, taken in results.steps(size, "airflow").items()]
    rows.append(("as someone sees it who asks every second", f"{waited:.2f}"))
    bare = results.seconds(size, OURS.name)
    if bare is not None:
        rows += [("the bare job", f"{bare:.2f}"), ("what Airflow adds", f"{seconds - bare:.2f}")]
    return Shown(f"{size:,} customers through Airflow: score_customers", ("", "seconds"), tuple(rows))


def _door(results: Results, size: int) -> Shown | None:
    columns = ("piece", "rows/s", "rows/s with start-up", "seconds", "with start-up", "peak MB")
    rows = tuple(
        (
            piece.says, _rate(size, seconds), _rate(size, whole), f"{seconds:.2f}", f"{whole:.2f}",
            _memory(results.peak_mb(size, piece.name), results.children_mb(size, piece.name)),
        )
        for piece in (DOOR, DOOR_PEER)
        if (seconds := results.seconds(size, piece.name)) and (whole := results.process_seconds(size, piece.name))
    )  # fmt: skip
    return Shown(f"{size:,} customers through the door", columns, rows) if rows else None


def _targets(title: str, lines: list[Target]) -> Shown:
    rows = tuple((each.required, each.observed, each.verdict) for each in lines)
    return Shown(title, ("required", "observed", ""), rows)


def _memory(own: float | None, children: float) -> str:
    """The peak of the process itself and, where it started another that is worth a word, of that."""
    return "-" if own is None else f"{own:.0f}" + (f" + {children:.0f}" if children > MENTIONED_MB else "")


def _rate(rows: int, seconds: float | None) -> str:
    return f"{rows / seconds:,.0f}" if seconds else "-"


def _spread(median: float | None, all_of_them: list[float]) -> str:
    return "-" if median is None else f"{median:.2f} ({min(all_of_them):.2f})"


def _times(seconds: float | None, ours: float | None) -> str:
    return f"{seconds / ours:.1f} x" if seconds and ours else "-"
