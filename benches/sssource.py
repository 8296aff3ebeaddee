#!/usr/bin/env python3
"""Time ssp-build-sssource: wall clock, processor time and peak memory, for the narrow and the wide table.

    benches/sssource.py [--tool target/dist/ssp-build-sssource] [--sizes small,full] [--tables narrow,wide] [--repeat 5]

small: 10,000 objects; full: 297,747 objects, 8 M observations, 1.58 M orbits. Inputs are made by sssource_inputs.py in
--folder and kept there: the wide ones of full need 4 GB, and with --json full 5 GB more. The orbits have the block CAR alone
(--json car) unless another choice is given. The median counts; "start" is how long the program takes to do nothing.
"""
import argparse
import subprocess
import sys
from pathlib import Path

from ssobject import line, measure

INPUTS = Path(__file__).with_name("sssource_inputs.py")
SIZES = {
    "small": ["--objects", "10000"],
    "full": ["--objects", "297747", "--orbits", "1580000"],
}
# Characters of the first column.
WIDTH = 13
FILES = ["obs_sbn", "dia_sources", "mpc_orbits", "current_identifications", "numbered_identifications"]
OPTIONS = {
    "narrow": [],
    "wide": ["--table", "wide", "--measured-on", "difference", "--processing-label", "bench", "--processing-table", "bench"],
}


def inputs(options, size, table):
    """The five files, made if they are not there."""
    folder = options.folder / f"{size}-{table}-{options.json}"
    if not folder.exists():
        wanted = ["--wide"] if table == "wide" else []
        if options.json != "none":
            wanted += ["--json", options.json]
        # In a process of its own, or its memory would count as the tool's.
        unfinished = folder.with_suffix(".part")
        subprocess.run([sys.executable, INPUTS, *SIZES[size], *wanted, "--out", unfinished], check=True)
        unfinished.rename(folder)
    return [folder / f"{name}.parquet" for name in FILES]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="target/dist/ssp-build-sssource")
    parser.add_argument("--sizes", default="small,full")
    parser.add_argument("--tables", default="narrow,wide")
    parser.add_argument("--json", default="car", choices=["none", "car", "full"], help="what mpc_orbits has of MPC_ORB")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("target/bench/sssource"))
    options = parser.parse_args()
    cases = [(size, table) for size in options.sizes.split(",") for table in options.tables.split(",")]
    for case in cases:
        inputs(options, *case)
    print(f"{'size, table':{WIDTH}} {'median s':>9} {'best s':>9} {'CPU s':>9} {'peak MB':>8} {'runs':>5}   load")
    line("start", [measure([options.tool, "--version"]) for _ in range(4 * options.repeat)], WIDTH)
    said = []
    for size, table in cases:
        output = options.folder / f"{size}-{table}.parquet"
        command = [options.tool, *inputs(options, size, table), "--output", output, *OPTIONS[table]]
        runs = [measure(command) for _ in range(options.repeat)]
        line(f"{size} {table}", runs, WIDTH)
        said.append(runs[-1][3])
    print("\n" + "\n".join(said))


if __name__ == "__main__":
    main()
