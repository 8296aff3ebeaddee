#!/usr/bin/env python3
"""Makes a large, real Butler repository (registry in SQLite) to time extract-catalog on, and a file of ids.

    benches/butler_repo.py --visits 60 --rows 20000 --columns 80 --out REPO

Collection LSSTCam/runs/bench, dataset type dia_source_visit (ArrowAstropy), a dataset per visit. REPO/filter_ids.parquet
(column obssubid, texts of digits) names 1 row in 500. Seeded: the same numbers every time.

Needs fixtures/requirements-butler.txt. Adapted from bench/butler_repo.py of the project's reference data.
"""

import argparse
import shutil
from pathlib import Path

import astropy.table as at
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from lsst.daf.butler import Butler, DatasetType

INSTRUMENT = "LSSTCam"
RUN = "LSSTCam/runs/bench"
DAY_OBS = 20260101
FIRST_VISIT = DAY_OBS * 100_000
ROWS_PER_ID = 500


def dia_sources(rng: np.random.Generator, number: int, rows: int, columns: int) -> at.Table:
    """One visit: ids in order, float32, float64, flags and masked columns in turn."""
    table = at.Table()
    table["diaSourceId"] = np.sort(rng.choice(10**12, rows, replace=False)).astype(np.int64) + number * 10**12
    table["visit"] = np.full(rows, FIRST_VISIT + number)
    table["detector"] = rng.integers(0, 189, rows).astype(np.int16)
    table["band"] = np.full(rows, "r")
    table["midpointMjdTai"] = 61_000.0 + number * 4e-4 + rng.random(rows) * 1e-6
    kinds = [
        lambda: rng.standard_normal(rows).astype(np.float32),
        lambda: rng.random(rows),
        lambda: rng.random(rows) < 0.02,
        lambda: at.MaskedColumn(rng.standard_normal(rows).astype(np.float32), mask=rng.random(rows) < 0.3),
    ]
    for column in range(columns):
        table[f"m{column:03d}"] = kinds[column % len(kinds)]()
    for name in ("psfFlux", "psfFluxErr", "extendedness"):
        table[name] = rng.random(rows).astype(np.float32)
    return table


def create(out: Path, run: str) -> tuple[Butler, DatasetType]:
    """A new repository that writes into a collection, and the dataset type of visits."""
    shutil.rmtree(out, ignore_errors=True)
    Butler.makeRepo(str(out))
    butler = Butler.from_config(str(out), writeable=True, run=run)
    records = [
        ("instrument", {"name": INSTRUMENT, "visit_max": 10**13, "exposure_max": 10**13, "detector_max": 1000,
                        "class_name": "none.LSSTCam"}),
        ("physical_filter", {"instrument": INSTRUMENT, "name": "r_57", "band": "r"}),
    ]
    for element, record in records:
        butler.registry.insertDimensionData(element, record)
    kind = DatasetType("dia_source_visit", ("instrument", "visit"), "ArrowAstropy", universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    return butler, kind


def put(butler: Butler, kind: DatasetType, visit: int, table: at.Table) -> None:
    """Writes the dataset of a visit, whose number begins with its day."""
    day = visit // 100_000
    butler.registry.syncDimensionData("day_obs", {"instrument": INSTRUMENT, "id": day})
    record = {"instrument": INSTRUMENT, "id": visit, "name": str(visit), "day_obs": day, "physical_filter": "r_57",
              "exposure_time": 30.0}
    butler.registry.insertDimensionData("visit", record)
    butler.put(table, kind, instrument=INSTRUMENT, visit=visit)


def make(out: Path, visits: int, rows: int, columns: int) -> None:
    butler, kind = create(out, RUN)
    rng = np.random.default_rng(7)
    picked = []
    # One transaction: a commit for each of thousands of datasets takes longer than the datasets.
    with butler.transaction():
        for number in range(visits):
            table = dia_sources(rng, number, rows, columns)
            put(butler, kind, FIRST_VISIT + number, table)
            picked.append(rng.choice(np.asarray(table["diaSourceId"]), max(1, rows // ROWS_PER_ID), replace=False))
    ids = pa.array([str(number) for number in np.concatenate(picked)])
    pq.write_table(pa.table({"obssubid": ids}), out / "filter_ids.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=60)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    make(args.out, args.visits, args.rows, args.columns)


if __name__ == "__main__":
    main()
