"""The tables of the endpoint: both servers side by side, what each request costs the CPU, where its milliseconds go."""

from tests.benchmarks.endpoint_modes import CALLER, FIXED, LONE, OURS, PEER, SATURATED
from tests.benchmarks.results import LoadRun, Results
from tests.benchmarks.shown import Shown

PERCENTILES = ("p50", "p90", "p99", "p99.9", "max")


def endpoint_tables(results: Results) -> list[Shown]:
    """Everything that was measured of single requests; nothing where nothing was."""
    return [_loads(results), _stages(results)] if results.loads else []


def _loads(results: Results) -> Shown:
    named = list(dict.fromkeys((each.piece, each.mode) for each in results.loads))
    columns = ("load", "answers/s", *(f"{name}, ms" for name in PERCENTILES), "errors", "CPU ms a request", "vs ours")
    rows = tuple(_load(results, piece, mode) for mode in (FIXED, SATURATED, LONE) for piece, m in named if m == mode)
    return Shown("One request at a time: the endpoint and MLflow's own server", columns, rows)


def _load(results: Results, piece: str, mode: str) -> tuple[str, ...]:
    runs = results.loads_of(piece, mode)
    rate, ours = results.rate(piece, mode), results.rate(OURS, mode)
    latencies = [results.latency(piece, mode, name) for name in PERCENTILES]
    return (
        f"{piece}: {_in_words(runs[0])}",
        f"{rate:,.0f}" if rate else "-",
        *(f"{each:.2f}" if each is not None else "-" for each in latencies),
        str(sum(sum(run.errors.values()) for run in runs)),
        _cpu(runs),
        f"1 : {ours / rate:.1f}" if ours and rate and piece == PEER else "",
    )


def _in_words(run: LoadRun) -> str:
    if run.rate:
        return f"{run.rate:.0f}/s, {run.connections} connections"
    return "one after another" if run.connections == 1 else f"{run.connections} connections, as fast as it goes"


def _cpu(runs: list[LoadRun]) -> str:
    """CPU milliseconds a request: the server's, PostgreSQL's, the caller's."""
    answered = sum(run.answered for run in runs)
    return " + ".join(f"{1000 * sum(run.cpu[who] for run in runs) / answered:.2f}" for who in runs[0].cpu)


def _stages(results: Results) -> Shown:
    modes = [mode for mode in (LONE, FIXED) if results.milliseconds.get(mode)]
    stages = [stage for stage in (results.milliseconds[modes[0]] if modes else ()) if stage != CALLER]
    rows = [(stage, *(f"{results.milliseconds[mode].get(stage, 0.0):.3f}" for mode in modes)) for stage in stages]
    within = {mode: sum(results.milliseconds[mode].get(stage, 0.0) for stage in stages) for mode in modes}
    seen = {mode: results.milliseconds[mode][CALLER] for mode in modes}
    rows.append(("all of these: in the worker", *(f"{within[mode]:.3f}" for mode in modes)))
    rows.append(("sockets, the kernel, the caller", *(f"{seen[mode] - within[mode]:.3f}" for mode in modes)))
    rows.append((CALLER, *(f"{seen[mode]:.3f}" for mode in modes)))
    return Shown("Where the milliseconds of a request go (mean ms)", ("stage", *modes), tuple(rows))
