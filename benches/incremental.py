#!/usr/bin/env python3
"""Time exports that read only what changed, beside psql's binary COPY of the whole table and full exports, in one run.

    benches/incremental.py [--tool target/release/ssp-run] [--before OTHER/ssp-run] [--scale 1.0] [--repeat 3]
                           [--tables obs_sbn,photometry,mpc_orbits]

It starts a server of its own in a temporary folder and fills it with mpc_tables.py; the machine needs the PostgreSQL
server programs for that. All that is compared is run in turn, --repeat times, and the median counts. --before is a program
of an earlier version, whose full exports are timed beside those of this one. Peak memory is that of the client.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

from export import Server, measure

PIPELINE = """version: 1
name: bench
out_dir: ${env:DATA}
database: {connections: 2}
stages:
"""


class Bench:
    def __init__(self, options, server, folder):
        self.options, self.server, self.folder = options, server, folder

    def sql(self, text):
        done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", text, self.server.uri], capture_output=True,
                              text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        return done.stdout.strip()

    def pipeline(self, tables):
        path = os.path.join(self.folder, "p.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(PIPELINE + "".join(f"  {t}: {{export: {{table: {t}}}, out: {t}.parquet}}\n" for t in tables))
        return path

    def run(self, data, tables, *flags, tool=None):
        """Seconds, peak megabytes."""
        os.environ.update({"DATA": os.path.join(self.folder, data), "PGHOST": self.server.folder, "PGUSER": "ssp",
                           "PGPORT": self.server.uri.rsplit("=", 1)[1], "PGDATABASE": "postgres"})
        command = [tool or self.options.tool, self.pipeline(tables), "-q", "-j", "2", *flags]
        seconds, *_, said = measure(command)
        if seconds is None:
            raise SystemExit(f"{command}: {said}")
        # What the kernel says of a child may be what this process had when it started the child.
        with open(os.path.join(self.folder, data, ".ssp/runs/latest/run.json"), encoding="utf-8") as report:
            return seconds, (json.load(report)["peak_memory_bytes"] or 0) / 1e6

    def copy(self, table):
        seconds, *_ = measure(["psql", "-Xq", "-c", f"COPY (SELECT * FROM {table}) TO STDOUT (FORMAT binary)",
                               self.server.uri])
        return seconds, 0

    def figures(self, data, stage):
        with open(os.path.join(self.folder, data, ".ssp/stages", stage + ".json"), encoding="utf-8") as record:
            return json.load(record)["figures"]

    def cells(self, data, table):
        found = self.figures(data, table)
        return f"{found.get('cells_read')} of {found.get('cells')}"

    def table(self, table):
        """The goals for one table."""
        pages = int(self.sql(f"SELECT pg_relation_size('{table}') / 8192"))
        cells = (pages + 4095) // 4096
        one = f"DELETE FROM {table} WHERE ctid = (SELECT min(ctid) FROM {table} WHERE ctid >= '(%d,0)')"
        changes = {
            "other tables changed": "CREATE TABLE IF NOT EXISTS other (n int); INSERT INTO other VALUES (1)",
            "1 cell changed": one % (4096 * (cells // 2)),
            "all cells changed": ";".join(one % (4096 * cell) for cell in range(cells)),
        }
        self.run("data", [table])
        found, memory, read = {}, {}, {}

        def note(name, measured):
            found.setdefault(name, []).append(measured[0])
            memory[name] = max(memory.get(name, 0), measured[1])

        for _ in range(self.options.repeat):
            note("psql COPY binary", self.copy(table))
            if self.options.before:
                note("full export, before", self.run("before", [table], "--force", tool=self.options.before))
            note("full export", self.run("full", [table], "--full"))
            for name, change in changes.items():
                self.sql(change)
                note(name, self.run("data", [table]))
                read[name] = self.cells("data", table)
        floor = statistics.median(found["psql COPY binary"])
        rows = self.sql(f"SELECT count(*) FROM {table}")
        print(f"\n{table}: {int(rows):,} rows, {pages:,} pages, {cells} cells")
        print(f"{'':30} {'median s':>9} {'best s':>8} {'x psql':>7} {'x full':>7} {'peak MB':>8}  cells read")
        full = statistics.median(found["full export"])
        for name, seconds in found.items():
            median = statistics.median(seconds)
            print(f"{name:30} {median:9.2f} {min(seconds):8.2f} {median / floor:7.2f} {median / full:7.2f} "
                  f"{memory[name]:8.0f}  {read.get(name, '')}")
        sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="target/release/ssp-run")
    parser.add_argument("--before")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--tables", default="obs_sbn,photometry,mpc_orbits")
    options = parser.parse_args()
    server = Server()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-incremental-") as folder:
            bench = Bench(options, server, folder)
            server.load(options.scale)
            for table in options.tables.split(","):
                bench.sql(f"VACUUM ANALYZE {table}")
                bench.table(table)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
