#!/usr/bin/env python3
"""Time a whole night of real size: pipelines/daily.yaml, from the exports to SSObject, on a server and a repository of its own.

    benches/night.py [--tool target/release/ssp-run] [--objects 310000] [--orbits 1600000] [--nights 50 --visits-a-night 20]
                     [--jobs 2] [--folder target/bench/night]

sssource_inputs.py makes the objects, with all columns of DiaSource and whole documents of orbits. The server gets obs_sbn with
its 86 columns, mpc_orbits with its 53 and the identifications; what is not known of a row is made up as in mpc_tables.py. The
repository, written by the real Butler, has a dataset a visit: its detections, and a third more that are of no object. Then the
night runs: in full, without the last of its nights; with that night's observations and visits, and new orbits of the objects
that were seen in it; with nothing new; and in full once more elsewhere, whose outputs must have the same bytes.

Inputs are kept in --folder (15 GB); the server needs 20 GB more while this runs. Peak memory is that of ssp-run; the server's
is not in it. Needs fixtures/requirements-butler.txt.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import butler_repo
import mpc_tables
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from export import Server, measure
from sssource import FILES

HERE = Path(__file__).parent
PIPELINE = HERE.parent / "pipelines/daily.yaml"
COLLECTION = "LSSTCam/runs/DRP/FL/w_2025_19/DM-50795"
COLUMNS = {name: mpc_tables.typed(columns) for name, columns, _, _ in mpc_tables.tables(1)}
# The night that comes later begins so long before the last observation.
LAST_NIGHT = "interval '12 hours'"


class Database:
    """The tables of the MPC, each with a table `of_NAME` of what is known of its rows, numbered g."""

    def __init__(self, server, inputs):
        self.server, self.inputs = server, inputs
        with ThreadPoolExecutor(2) as both:
            list(both.map(self.stage, ["mpc_orbits", "obs_sbn", "current_identifications", "numbered_identifications"]))
        self.sql(f"SELECT max(s_obstime) - {LAST_NIGHT} AS night INTO last FROM of_obs_sbn")
        statements = [self.statement("obs_sbn", "WHERE s_obstime < night")]
        statements += [self.statement(name) for name in FILES if name in COLUMNS and name != "obs_sbn"]
        with ThreadPoolExecutor(2) as both:
            list(both.map(self.sql, statements))
        self.sql("VACUUM ANALYZE")

    def psql(self, text):
        # Without parallel workers, so that rows come in their order.
        return ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", "SET max_parallel_workers_per_gather = 0", "-c", text, self.server.uri]

    def sql(self, text):
        subprocess.run(self.psql(text), check=True)

    def stage(self, name):
        """Copies a Parquet file into `of_NAME`."""
        file = pq.ParquetFile(self.inputs / f"{name}.parquet")
        types, known = dict(COLUMNS[name]), file.schema_arrow.names
        columns = ", ".join(f"s_{column} {types[column]}" for column in known)
        self.sql(f"CREATE TABLE of_{name} (g int, {columns})")
        psql = subprocess.Popen(self.psql(f"COPY of_{name} FROM STDIN (FORMAT csv)"), stdin=subprocess.PIPE)
        rows = 0
        with pa.csv.CSVWriter(psql.stdin, pa.schema([("g", pa.int64()), *file.schema_arrow]),
                              write_options=pa.csv.WriteOptions(include_header=False)) as out:
            for batch in file.iter_batches(50_000):
                numbers = pa.array(range(rows + 1, rows + batch.num_rows + 1))
                rows += batch.num_rows
                out.write_batch(pa.record_batch([numbers, *batch.columns], ["g", *known]))
        psql.stdin.close()
        if psql.wait():
            raise SystemExit(f"{name} could not be loaded")

    def statement(self, name, which=""):
        """The SQL that makes a table of the rows `which`."""
        known = pq.read_schema(self.inputs / f"{name}.parquet").names
        scale = pq.read_metadata(self.inputs / "mpc_orbits.parquet").num_rows / 300_000
        columns, values = next((c, v) for n, c, _, v in mpc_tables.tables(scale) if n == name)
        return mpc_tables.create(name, columns, f"of_{name}, last {which} ORDER BY g",
                                 values | {column: f"s_{column}" for column in known})

    def next_night(self):
        """The observations of the last night, and new orbits of what was observed."""
        later = self.statement("obs_sbn", "WHERE s_obstime >= night")
        self.sql(later.replace("CREATE TABLE obs_sbn AS", "INSERT INTO obs_sbn", 1))
        self.sql("UPDATE mpc_orbits SET updated_at = now(), q = q + 1e-9 WHERE unpacked_primary_provisional_designation IN "
                 "(SELECT s_provid FROM of_obs_sbn, last WHERE s_obstime >= night)")


def visits(path):
    """Number and table of each visit of dia_sources, whose rows are in the order of visits."""
    rest = None
    for batch in pq.ParquetFile(path).iter_batches(100_000):
        rest = pa.Table.from_batches([batch]) if rest is None else pa.concat_tables([rest, pa.Table.from_batches([batch])])
        starts = [0, *(i + 1 for i, same in enumerate(pc.equal(rest["visit"][1:], rest["visit"][:-1]).to_pylist()) if not same)]
        for start, end in zip(starts, starts[1:]):
            yield rest["visit"][start].as_py(), rest.slice(start, end - start)
        rest = rest.slice(starts[-1])
    yield rest["visit"][0].as_py(), rest


def fill(repo, found, hold_back):
    """Puts all visits but those of the last night into a repository, and returns what puts them."""
    butler, kind = butler_repo.create(repo, COLLECTION)
    kept = []

    def put(visit, table):
        others = table.slice(0, table.num_rows // 3)
        ids = pc.add(others["diaSourceId"], 2**23)
        table = pa.concat_tables([table, others.set_column(0, "diaSourceId", ids)])
        butler_repo.put(butler, kind, visit, table)

    with butler.transaction():
        for visit, table in found:
            kept.append((visit, table))
            if len(kept) > hold_back:
                put(*kept.pop(0))

    def rest():
        with butler.transaction():
            for one in kept:
                put(*one)

    return rest


class Night:
    def __init__(self, options, server, folder):
        self.options, self.folder = options, folder
        (folder / "services").write_text(f"[mpc_sbn]\nhost={server.folder}\nport={server.uri.rsplit('=', 1)[1]}\nuser=ssp\ndbname=postgres\n")

    def run(self, name, data, *flags):
        """Runs the pipeline, and prints what it took."""
        os.environ.update({"SSP_DATA": str(self.folder / data), "BUTLER_REPO": str(self.folder / "repo"),
                           "PGSERVICEFILE": str(self.folder / "services")})
        measured = measure([self.options.tool, str(PIPELINE), "-q", "-j", str(self.options.jobs), *flags])
        if measured[0] is None:
            raise SystemExit(f"{name}: {measured[-1]}")
        report = json.loads((self.folder / data / ".ssp/runs/latest/run.json").read_text())
        print(f"\n{name}: {measured[0]:.2f} s, {measured[1]:.1f} s of processor time, "
              f"{(report['peak_memory_bytes'] or 0) / 1e6:.0f} MB", flush=True)
        for stage in report["stages"]:
            print(f"  {stage['stage']:25} {stage['status']:12} {stage['seconds']:8.2f} s {stage['rows']:12,} rows {stage['bytes'] / 1e6:8.1f} MB",
                  flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="target/release/ssp-run")
    parser.add_argument("--objects", type=int, default=310_000)
    parser.add_argument("--orbits", type=int, default=1_600_000)
    parser.add_argument("--nights", type=int, default=50)
    parser.add_argument("--visits-a-night", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("target/bench/night"))
    options = parser.parse_args()
    folder = options.folder.resolve()
    inputs = folder / "inputs"
    if not inputs.exists():
        sizes = [word for name in ("objects", "orbits", "nights", "visits_a_night")
                 for word in ("--" + name.replace("_", "-"), str(getattr(options, name)))]
        subprocess.run([sys.executable, HERE / "sssource_inputs.py", *sizes, "--wide", "--json", "full", "--out", folder / "part"], check=True)
        (folder / "part").rename(inputs)
    for name in ("repo", "data", "full"):
        shutil.rmtree(folder / name, ignore_errors=True)
    put_rest = fill(folder / "repo", visits(inputs / "dia_sources.parquet"), options.visits_a_night)
    server = Server()
    try:
        database = Database(server, inputs)
        night = Night(options, server, folder)
        night.run("the first night, in full", "data")
        database.next_night()
        put_rest()
        night.run("one more day of data", "data")
        night.run("nothing new", "data")
        night.run("all of it in full", "full", "--full")
        for file in sorted((folder / "full").glob("*.parquet")):
            same = subprocess.run(["cmp", file, folder / "data" / file.name], check=False).returncode == 0
            print(f"{file.name}: {'the same bytes' if same else 'DIFFERENT BYTES'}, {file.stat().st_size / 1e6:.0f} MB")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
