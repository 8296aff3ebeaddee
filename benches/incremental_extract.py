#!/usr/bin/env python3
"""Times incremental extracts through ssp-run beside full ones of the same datasets, in one run.

    benches/incremental_extract.py [--folder FOLDER] [--command target/release/ssp-run] [--runs 3] [--small 10000]

Makes two repositories with the real Butler unless they are in FOLDER: 60 visits of 20,000 rows and 80 columns, and --small
visits of 20 rows and 8 columns (0: none). Prints, for each change between two runs, the best times of the full and of the
incremental extract and of a run with nothing to do, the ratio and the goal; ends with 1 if a goal is missed. The outputs must
have the same bytes. Needs fixtures/requirements-butler.txt.
"""

import argparse
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from extract import RUN

TAGGED = "u/bench/tagged"
# The part of the time of a full extract that an incremental one may take, at most.
GOALS = {"one visit added": 0.15, "100 ids added in one visit": 0.10}
# The seconds that one of many small datasets may take.
SMALL_GOAL = 0.5


def make(repo: Path, visits: int, rows: int, columns: int) -> None:
    """A repository, with a TAGGED collection of all its datasets."""
    if (repo / "done").exists():
        return
    from lsst.daf.butler import Butler, CollectionType

    import butler_repo

    butler_repo.make(repo, visits, rows, columns)
    butler = Butler.from_config(str(repo), writeable=True)
    butler.registry.registerCollection(TAGGED, CollectionType.TAGGED)
    butler.registry.associate(TAGGED, butler.registry.queryDatasets("dia_source_visit", collections=RUN))
    (repo / "done").touch()


class Bench:
    """A pipeline of one extract, in a folder of its own."""

    def __init__(self, folder: Path, repo: Path, command: Path, with_ids: bool):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self.repo, self.command = folder, repo.resolve(), command.resolve()
        ids = ", filter: {ids: ids.parquet, column: id}" if with_ids else ""
        (folder / "pipeline.yaml").write_text(
            f"version: 1\nname: bench\nout_dir: data\nbutler: {{repo: {self.repo}}}\nstages:\n  sources:\n"
            f"    extract: {{collection: {TAGGED}{ids}}}\n    out: sources.parquet\n"
        )

    def run(self, *flags: str) -> float:
        """Seconds of a run."""
        started = time.perf_counter()
        done = subprocess.run([self.command, "pipeline.yaml", *flags], cwd=self.folder, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        return seconds

    def digest(self) -> str:
        with open(self.folder / "data/sources.parquet", "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def figures(self) -> dict:
        return json.loads((self.folder / "data/.ssp/stages/sources.json").read_text())["figures"]

    def take_out(self, rows: str) -> None:
        """Takes datasets out of the collection."""
        with sqlite3.connect(self.repo / "gen3.sqlite3") as registry:
            (tags,) = registry.execute("SELECT name FROM sqlite_master WHERE name LIKE 'dataset_tags_%'").fetchone()
            registry.execute("CREATE TABLE IF NOT EXISTS bench_kept AS SELECT * FROM " + tags + " WHERE 0")
            of = "collection_id = (SELECT collection_id FROM collection WHERE name = ?) AND visit " + rows
            registry.execute(f"INSERT INTO bench_kept SELECT * FROM {tags} WHERE {of}", (TAGGED,))
            registry.execute(f"DELETE FROM {tags} WHERE {of}", (TAGGED,))

    def put_back(self) -> None:
        with sqlite3.connect(self.repo / "gen3.sqlite3") as registry:
            if registry.execute("SELECT 1 FROM sqlite_master WHERE name = 'bench_kept'").fetchone():
                (tags,) = registry.execute("SELECT name FROM sqlite_master WHERE name LIKE 'dataset_tags_%'").fetchone()
                registry.execute(f"INSERT INTO {tags} SELECT * FROM bench_kept")
                registry.execute("DELETE FROM bench_kept")

    def write_ids(self, ids) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"id": pa.array(ids, pa.int64())}), self.folder / "ids.parquet")

    def compare(self, name: str, before, after, runs: int) -> tuple[float, float]:
        """The best times of a full and of an incremental extract of the state `after`, each after one of `before`."""
        times: dict[str, list[float]] = {"full": [], "incremental": []}
        digests = set()
        for _ in range(runs):
            for kind in times:
                before()
                self.run("--full")
                after()
                times[kind].append(self.run("--full") if kind == "full" else self.run())
                digests.add(self.digest())
        if len(digests) != 1:
            sys.exit(f"{name}: the outputs differ")
        full, incremental = (min(found) for found in times.values())
        nothing = min(self.run() for _ in range(runs))
        found = self.figures()
        did = ", ".join(f"{found['datasets_' + word]} {word}" for word in ("read", "copied", "opened"))
        print(f"{name:32s} full {full:7.3f} s   incremental {incremental:7.3f} s   {incremental / full:5.3f}   {did}; "
              f"a run with nothing to do {nothing:.3f} s", flush=True)
        return full, incremental


def last_visit(repo: Path) -> str:
    with sqlite3.connect(repo / "gen3.sqlite3") as registry:
        return str(registry.execute("SELECT max(id) FROM visit").fetchone()[0])


def large(folder: Path, command: Path, runs: int) -> bool:
    import numpy as np
    import pyarrow.parquet as pq

    repo = folder / "large"
    make(repo, 60, 20_000, 80)
    missed = False

    def judge(name: str, times: tuple[float, float]) -> None:
        nonlocal missed
        goal = GOALS.get(name)
        if goal is not None:
            print(f"{'':32s} goal {goal}: {'met' if times[1] <= goal * times[0] else 'missed'}")
            missed |= times[1] > goal * times[0]

    bench = Bench(folder / "runs", repo, command, with_ids=False)
    bench.put_back()
    visit = f"= {last_visit(repo)}"
    judge("one visit added", bench.compare("one visit added", lambda: bench.take_out(visit), bench.put_back, runs))

    bench = Bench(folder / "runs", repo, command, with_ids=True)
    files = sorted(repo.glob(RUN + "/**/*.parq"))
    rng = np.random.default_rng(11)
    before, one, scattered = [], [], []
    for number, file in enumerate(files):
        ids = rng.permutation(pq.read_table(file, columns=["diaSourceId"])["diaSourceId"].to_numpy())
        before.append(ids[:40])
        scattered.append(ids[40:42])
        if number == len(files) // 2:
            one = ids[40:140]
    before, scattered = np.concatenate(before), np.concatenate(scattered)[:100]
    for name, added in [("100 ids added in one visit", one), ("100 ids added in 50 visits", scattered)]:
        judge(name, bench.compare(
            name, lambda: bench.write_ids(before), lambda: bench.write_ids(np.concatenate([before, added])), runs))  # noqa: B023
    return missed


def small(folder: Path, command: Path, runs: int, visits: int) -> bool:
    repo = folder / f"small-{visits}"
    make(repo, visits, 20, 8)
    bench = Bench(folder / "runs", repo, command, with_ids=False)
    bench.put_back()
    visit = f"= {last_visit(repo)}"
    name = f"one of {visits:,} small datasets"
    _, incremental = bench.compare(name, lambda: bench.take_out(visit), bench.put_back, runs)
    print(f"{'':32s} goal {SMALL_GOAL} s: {'met' if incremental <= SMALL_GOAL else 'missed'}")
    return incremental > SMALL_GOAL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("target/bench/incremental"))
    parser.add_argument("--command", type=Path, default=Path("target/release/ssp-run"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--small", type=int, default=10_000)
    args = parser.parse_args()
    missed = large(args.folder, args.command, args.runs)
    if args.small:
        missed |= small(args.folder, args.command, args.runs, args.small)
    sys.exit(missed)


if __name__ == "__main__":
    main()
