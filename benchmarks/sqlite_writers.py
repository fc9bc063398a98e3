"""Eight processes writing to one SQLite catalog: lock errors and lost leases are counted, and must be none.

Usage: benchmarks/run sqlite-writers [SECONDS]
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import _result
from inbox_pipeline.services.site import init_site, open_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog import leases, ledger, requests

PROCESSES = 8
LEASE_SECONDS = 60.0


def work(home: Path, number: int, seconds: float, answers: Any) -> None:
    """Hold a lease, renew it and write ledger batches until the time is over; report what happened."""
    site = open_site(read_settings({}, home=home))
    answer = {"writes": 0, "errors": 0, "lost": 0, "worst": 0.0}
    with site.catalog.write() as connection:
        values = {"username": "bench", "source_path": b"/x/%d" % number, "parameters": {}, "same_key": str(number)}
        request_id = requests.insert(connection, {**values, "project_id": "P"})
        row = requests.get(connection, request_id)
        assert row is not None
        lease = leases.take(connection, row, f"run-{number}", "bench", LEASE_SECONDS)
    end, batch = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            with site.catalog.write() as connection:
                answer["lost"] += leases.renew(connection, lease, LEASE_SECONDS) is None
                ledger.insert(connection, [ledger_row(request_id, batch, n) for n in range(100)])
            answer["writes"] += 1
        except Exception:  # noqa: BLE001 - every kind of failure counts
            answer["errors"] += 1
        batch += 1
        answer["worst"] = max(answer["worst"], time.monotonic() - began)
    answers.put(answer)


def ledger_row(request_id: int, batch: int, number: int) -> dict[str, Any]:
    """Return one row of a batch."""
    path = b"%d/%d" % (batch, number)
    key = {"request_id": request_id, "source_path": path, "path_digest": requests.path_digest(path)}
    return {**key, **ledger.FRESH}


def measure(seconds: float) -> dict[str, Any]:
    """Run the eight processes and add their answers up."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        init_site(read_settings({}, home=home))
        answers = context.Queue()
        children = [context.Process(target=work, args=(home, n, seconds, answers)) for n in range(PROCESSES)]
        for child in children:
            child.start()
        found = [answers.get(timeout=seconds + 120) for _ in children]
        for child in children:
            child.join()
    return {
        "processes": PROCESSES,
        "seconds": seconds,
        "transactions": sum(a["writes"] for a in found),
        "errors": sum(a["errors"] for a in found),
        "leases_lost": sum(a["lost"] for a in found),
        "worst_transaction_seconds": round(max(a["worst"] for a in found), 3),
    }


if __name__ == "__main__":
    _result.write("sqlite-writers", measure(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
