"""One size of a bench: a first night, then repetitions in which every piece takes its turn on the same rows."""

import logging
from collections.abc import Sequence

from psycopg import sql

from churn.policy import Policy
from tests.benchmarks.parity import check_published, check_sample, compare_peer
from tests.benchmarks.pieces import COMPARED, NIGHTS, OURS, SAMPLE, STAGES, STREAM, Piece, PieceFailed, run_piece
from tests.benchmarks.results import Check, Results
from tests.benchmarks.servers import Bench

log = logging.getLogger(__name__)

NUDGE = 1e-6  # of a threshold of the policy: another decision, so another night of the same work


class Rounds:
    """The repetitions of one size on one database. What goes wrong is recorded, and the others go on."""

    def __init__(self, bench: Bench, database: str, size: int, results: Results) -> None:
        self._bench, self._database, self._size, self._results = bench, database, size, results
        self._nights = 0
        self._published: int | None = None

    def run(self, names: Sequence[str], repeat: int) -> None:
        """Measure the named pieces `repeat` times; each repetition begins with another piece than the last."""
        self._night(OURS, 0)  # gives the peers something to be held against, and the next run a predecessor
        self._sample()
        pieces = [piece for piece in COMPARED if piece.name in names and piece.runs_at(self._size)]
        for repetition in range(1, repeat + 1):
            turned = (repetition - 1) % len(pieces) if pieces else 0
            for piece in pieces[turned:] + pieces[:turned]:
                (self._night if piece in NIGHTS else self._peer)(piece, repetition)
            for piece in STAGES if "stages" in names else ():
                self._measure(piece, repetition)
                self._forget("written")

    def new_night(self, with_reasons: bool = True) -> None:
        """Nudge the policy, so that the next run is a new one: the same night again would rightly do nothing."""
        self._nights += 1
        threshold = Policy().medium_risk_from + NUDGE * self._nights
        reasons = "" if with_reasons else "reasons_top_deciles = 0\nreasons_for_all_up_to = 0\n"
        self._bench.policy_file.write_text(f"medium_risk_from = {threshold:.6f}\n{reasons}", "utf-8")

    def check_night(self, scoring_run_id: int) -> None:
        """Hold what is published now against the snapshot and the run that just ended."""
        self._check(check_published(self._bench, self._database, self._size, scoring_run_id, self._published))
        self._published = scoring_run_id

    def settle(self) -> None:
        """Do now what the server would otherwise do during the next measurement: vacuum, analyze, checkpoint."""
        with self._bench.admin(self._database) as admin:
            changed = admin.execute(
                "SELECT schemaname, relname FROM pg_stat_user_tables WHERE n_ins_since_vacuum + n_mod_since_analyze > 0"
            ).fetchall()
            for schema, table in changed:
                admin.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(str(schema), str(table))))
            admin.execute("CHECKPOINT")

    def _night(self, piece: Piece, repetition: int) -> None:
        self.new_night(with_reasons=piece is not STREAM)
        told = self._measure(piece, repetition)
        if told:
            self.check_night(int(told["scoring_run_id"]))

    def _peer(self, piece: Piece, repetition: int) -> None:
        if piece.name == "upsert":
            self._yesterday()
        if self._measure(piece, repetition):
            self._check(compare_peer(self._bench, self._database, self._size, piece.name))
        self._forget(piece.name)

    def _sample(self) -> None:
        told = self._measure(SAMPLE, 0, keep=False)
        if told:
            self._check(check_sample(self._size, told))

    def _measure(self, piece: Piece, repetition: int, keep: bool = True) -> dict[str, float] | None:
        self.settle()
        try:
            measured, told = run_piece(self._bench, self._database, piece, self._size, repetition)
        except PieceFailed as failure:
            self._check(Check(self._size, piece.name, False, str(failure)))
            return None
        if keep:
            self._results.measurements.append(measured)
        return told

    def _check(self, check: Check) -> None:
        self._results.checks.append(check)
        log.log(logging.INFO if check.passed else logging.ERROR, "%s: %s", check.piece, check.told)

    def _yesterday(self) -> None:
        """The table of a peer who upserts holds last night's rows: every key is there already."""
        with self._bench.admin(self._database) as admin:
            admin.execute(
                'CREATE TABLE peers.upsert (customer_id text COLLATE "C" PRIMARY KEY, churn_probability float8)'
            )
            admin.execute("ALTER TABLE peers.upsert OWNER TO churn_pipeline")
            admin.execute("INSERT INTO peers.upsert SELECT customer_id, 0.5 FROM churn.customers ORDER BY customer_id")

    def _forget(self, table: str) -> None:
        with self._bench.admin(self._database) as admin:
            admin.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("peers", table)))
