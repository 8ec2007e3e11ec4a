"""A thousand CRM readers on one event loop, in a process of their own: `python -m tests.faults.crowd`.

Each line on standard input is a number of reads: once the readers have read that many times more, a line on standard
output says so. When the input ends they stop, and the last line of the output is their report.
"""

import asyncio
import json
import math
import os
import resource
import sys
import threading
from dataclasses import asdict, dataclass, field

import asyncpg

URL, READER_COUNT, CUSTOMER_COUNT = "CROWD_URL", 1_000, 200
CONNECTING_AT_ONCE = 20
LOOK = "SELECT * FROM crm.churn_scores"


@dataclass
class Report:
    """What the readers saw: how often each run, how often each of them looked, and whatever was not one whole run."""

    reads_by_reader: list[int] = field(default_factory=lambda: [0] * READER_COUNT)
    reads_by_run: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    read_count: int = 0

    def add(self, reader: int, rows: list[asyncpg.Record]) -> None:
        self.read_count += 1
        self.reads_by_reader[reader] += 1
        runs = {row["scoring_run_id"] for row in rows}
        customers = {row["customer_id"] for row in rows}
        if len(runs) != 1 or len(rows) != CUSTOMER_COUNT or len(customers) != CUSTOMER_COUNT:
            self.wrong.append(f"{len(rows)} rows, {len(customers)} customers, runs {sorted(runs)}")
        for run in runs:
            self.reads_by_run[run] = self.reads_by_run.get(run, 0) + 1


class Crowd:
    """The readers, who look again and again until they are told to stop."""

    def __init__(self) -> None:
        self.report = Report()
        self._gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self._all_are_here = asyncio.Barrier(READER_COUNT)
        self._say_at = math.inf
        self._stopped = False

    async def read(self) -> None:
        threading.Thread(target=self._take_orders, daemon=True).start()
        await asyncio.gather(*map(self._reader, range(READER_COUNT)))

    async def _reader(self, number: int) -> None:
        async with self._gate:
            connection = await asyncpg.connect(os.environ[URL], timeout=60)
        await self._all_are_here.wait()
        while not self._stopped:
            self.report.add(number, await connection.fetch(LOOK))
            if self.report.read_count >= self._say_at:
                self._say_at = math.inf
                print(self.report.read_count, flush=True)  # noqa: T201  whoever started this process reads it
        connection.terminate()

    def _take_orders(self) -> None:
        for line in sys.stdin:
            self._say_at = self.report.read_count + int(line)
        self._stopped = True


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4_096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    crowd = Crowd()
    asyncio.run(crowd.read())
    print(json.dumps(asdict(crowd.report)), flush=True)  # noqa: T201
