#!/usr/bin/env python3
"""Times extract-catalog beside the Python way (butler.get, numpy.isin, pyarrow) on one repository, in one run.

    benches/extract.py [--repo REPO] [--command target/release/extract-catalog] [--runs 3]

Makes the repository first (butler_repo.py, with its defaults) unless REPO is there. Prints, for all rows and for 1 row in
500, the best time of the runs, the CPU time and the peak memory of each, and the ratio of the times; ends with 1 if a
goal is missed. Both outputs must hold the same rows. Needs fixtures/requirements-butler.txt.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = "LSSTCam/runs/bench"
# How many times faster than the Python way, at least, and in how many MB at most.
GOALS = {"filtered": 20.0, "whole": 4.0}
MOST_MB = 300.0


def python_way(repo: str, out: str, ids_file: str | None = None) -> None:
    """As the Python tool does it: every dataset whole through the Butler, filtered, converted, written."""
    import numpy as np
    import pyarrow.parquet as pq
    from lsst.daf.butler import Butler
    from lsst.daf.butler.formatters.parquet import astropy_to_arrow

    ids = None
    if ids_file:
        ids = np.array(pq.read_table(ids_file, columns=["obssubid"])["obssubid"].to_pylist()).astype(np.int64)
    butler = Butler(repo, collections=RUN)
    writer = None
    for ref in butler.registry.queryDatasets("dia_source_visit", collections=RUN):
        table = butler.get(ref)
        if ids is not None:
            table = table[np.isin(table["diaSourceId"], ids)]
        if len(table) == 0:
            continue
        arrow = astropy_to_arrow(table)
        if writer is None:
            writer = pq.ParquetWriter(out, arrow.schema, compression="zstd", use_dictionary=False)
        writer.write_table(arrow.cast(writer.schema))
    if writer is not None:
        writer.close()


def measure(command: list[str]) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak MB of a command."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def best(command: list[str], runs: int) -> tuple[float, float, float]:
    return min(measure(command) for _ in range(runs))


def check_same(ours: Path, theirs: Path) -> None:
    """The same columns, types and rows, in any order."""
    import pyarrow.parquet as pq

    a, b = (pq.read_table(path).sort_by("diaSourceId") for path in (ours, theirs))
    if not a.schema.equals(b.schema) or not a.equals(b):
        sys.exit("the outputs differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=Path, default=Path("target/bench/butler"))
    parser.add_argument("--command", default="target/release/extract-catalog")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--python-way", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.python_way:
        python_way(*args.python_way)
        return
    if not (args.repo / "butler.yaml").exists():
        maker = Path(__file__).with_name("butler_repo.py")
        subprocess.run([sys.executable, str(maker), "--out", str(args.repo)], check=True)
    ids = str(args.repo / "filter_ids.parquet")
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "ours.parquet"), Path(folder, "theirs.parquet")
        for name, ids_file in [("filtered", ids), ("whole", None)]:
            native = [args.command, str(ours), str(args.repo), RUN, "--silent"]
            native += ["--filter-ids", ids, "--filter-column", "obssubid"] if ids_file else []
            python = [sys.executable, __file__, "--python-way", str(args.repo), str(theirs)]
            python += [ids] if ids_file else []
            a, b = best(native, args.runs), best(python, args.runs)
            check_same(ours, theirs)
            ratio = b[0] / a[0]
            print(f"{name:9s} native {a[0]:6.2f} s {a[1]:6.2f} CPU s {a[2]:5.0f} MB   "
                  f"python {b[0]:6.2f} s {b[1]:6.2f} CPU s {b[2]:5.0f} MB   {ratio:5.1f} x   "
                  f"{ours.stat().st_size / 1e6:.1f} MB against {theirs.stat().st_size / 1e6:.1f} MB")
            missed |= ratio < GOALS[name] or a[2] > MOST_MB
    sys.exit(missed)


if __name__ == "__main__":
    main()
