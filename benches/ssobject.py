#!/usr/bin/env python3
"""Time ssp-build-ssobject: wall clock, processor time and peak memory, at three sizes.

    benches/ssobject.py [--tool target/release/ssp-build-ssobject] [--sizes small,full] [--repeat 5]

small: 1,000 objects; full: 297,747 objects, 8 M observations, 1.6 M orbits; large: 3.7 M objects, 100 M observations, with
a limit on memory, which needs some 25 GB of disk. Inputs are made by ssobject_inputs.py in --folder and kept there, but for
the large ones. The median counts; "start" is how long the program takes to do nothing.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

INPUTS = Path(__file__).with_name("ssobject_inputs.py")
SIZES = {
    "small": ["--objects", "1000"],
    "full": ["--objects", "297747", "--orbits", "1600000"],
    "large": ["--objects", "3700000", "--parts", "12"],
}
# How often each size is run for one of --repeat.
MORE = {"small": 4, "full": 1, "large": 1}


def measure(command):
    """Wall seconds, processor seconds, peak resident megabytes and standard error of a command."""
    with tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        said.seek(0)
        text = said.read().decode()
    if status:
        raise SystemExit(f"{' '.join(map(str, command))}: {text}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, text


def line(name, runs, width=8):
    wall, processor, memory, _ = zip(*runs)
    shown = [statistics.median(wall), min(wall), statistics.median(processor), max(memory)]
    print(f"{name:{width}} {shown[0]:9.3f} {shown[1]:9.3f} {shown[2]:9.3f} {shown[3]:8.0f} {len(runs):5}   {os.getloadavg()[0]:.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="target/release/ssp-build-ssobject")
    parser.add_argument("--sizes", default="small,full")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--memory", default="4G", help="the limit on rows in memory at the size `large`")
    parser.add_argument("--folder", type=Path, default=Path("target/bench/ssobject"))
    parser.add_argument("--earth", default="osculating")
    options = parser.parse_args()
    sizes = options.sizes.split(",")
    for size in sizes:
        if not (options.folder / size).exists():
            # In a process of its own, or its memory would count as the tool's.
            subprocess.run([sys.executable, INPUTS, *SIZES[size], "--out", options.folder / size], check=True)
    print(f"{'size':8} {'median s':>9} {'best s':>9} {'CPU s':>9} {'peak MB':>8} {'runs':>5}   load")
    line("start", [measure([options.tool, "--version"]) for _ in range(4 * options.repeat)])
    said = []
    for size in sizes:
        inputs = [options.folder / size / table for table in ("sssource", "dia_sources", "mpc_orbits")]
        output = options.folder / f"{size}.parquet"
        limit = ["--memory", options.memory] if size == "large" else []
        command = [options.tool, *inputs, "--output", output, "--earth", options.earth, *limit]
        repeat = 1 if size == "large" else options.repeat * MORE[size]
        runs = [measure(command) for _ in range(repeat)]
        line(size, runs)
        said.append(runs[-1][3])
        if size == "large":
            shutil.rmtree(options.folder / size)
            output.unlink()
    print("\n" + "\n".join(said))


if __name__ == "__main__":
    main()
