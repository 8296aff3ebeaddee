#!/usr/bin/env python3
"""Stages as jobs of Slurm, beside the same stages in one process: times, digests, and what a killed run and a lost node cost.

    benches/slurm.py [--tool target/release/ssp-run] [--objects 200000] [--folder FOLDER]

It starts a Slurm of its own with two nodes on this machine (tests/slurm/one_machine_slurm.sh; install Slurm with
`ci/install slurm`), and makes its inputs with benches/sssource_inputs.py. Both nodes share the cores of the machine, so the
times show what Slurm costs, and not what more machines save.
"""
import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tests/slurm/one_machine_slurm.sh"
PIPELINE = """version: 1
name: bench
out_dir: data
executor: {executor}
stages:
  sssource:
    build-sssource: {{obs_sbn: {inputs}/obs_sbn.parquet, dia_sources: {inputs}/dia_sources.parquet,
      mpc_orbits: {inputs}/mpc_orbits.parquet, current_identifications: {inputs}/current_identifications.parquet,
      numbered_identifications: {inputs}/numbered_identifications.parquet}}
    out: sssource.parquet
  ssobject:
    build-ssobject: {{sssource: sssource, dia_sources: {inputs}/dia_sources.parquet, mpc_orbits: {inputs}/mpc_orbits.parquet}}
    out: ssobject.parquet
"""


class Bench:
    def __init__(self, tool, folder):
        self.tool, self.folder = tool, folder
        self.data = folder / "data"
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm/slurm.conf")}

    def slurm(self, action, *words):
        subprocess.run(["bash", SCRIPT, action, self.folder / "slurm", *words], check=True, stdout=subprocess.DEVNULL)

    def inputs(self, objects):
        inputs = self.folder / f"inputs-{objects}"
        make = [sys.executable, ROOT / "benches/sssource_inputs.py", "--wide", "--objects", str(objects)]
        subprocess.run([*make, "--orbits", str(5 * objects), "--out", inputs], check=True, stdout=subprocess.DEVNULL)
        return inputs

    def write(self, inputs, executor):
        shutil.rmtree(self.data, ignore_errors=True)
        (self.folder / "bench.yaml").write_text(PIPELINE.format(inputs=inputs, executor=executor))

    def start(self, *words):
        return subprocess.Popen([self.tool, "bench.yaml", "-q", *words], cwd=self.folder, env=self.environment,
                                stderr=subprocess.DEVNULL)

    def run(self, *words):
        """Seconds and the digests of the outputs."""
        began = time.monotonic()
        if self.start(*words).wait() != 0:
            sys.exit("the run failed: " + " ".join(words))
        seconds = time.monotonic() - began
        digests = [hashlib.sha256((self.data / f"{name}.parquet").read_bytes()).hexdigest()[:16]
                   for name in ("sssource", "ssobject")]
        return seconds, digests

    def results(self):
        return len(list(self.data.glob(".ssp/jobs/sssource-*/results/[0-9]*.json")))

    def attacked(self, seconds):
        """As `run`, but the run is killed five times, and node 1 is lost and comes back."""
        began = time.monotonic()
        for kill in range(5):
            run = self.start()
            time.sleep(seconds / 8)
            run.kill()
            run.wait()
            if kill == 1:
                self.slurm("kill-node", "1")
            if kill == 3:
                self.slurm("start-node", "1")
        kept = self.results()
        _, digests = self.run()
        return time.monotonic() - began, digests, kept


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tool", type=Path, default=ROOT / "target/release/ssp-run")
    arguments.add_argument("--objects", type=int, default=200_000)
    arguments.add_argument("--folder", type=Path, help="where the inputs and outputs go; the default is a temporary folder")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="ssp-slurm-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(given.tool.resolve(), folder)
        bench.slurm("start", "--nodes", "2", "--cpus", str(max(os.cpu_count(), 2)), "--mem", "16000")
        try:
            measure(bench, given.objects)
        finally:
            bench.slurm("stop")


def measure(bench, objects):
    small, large = bench.inputs(400), bench.inputs(objects)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print("\n400 objects, median of 3:")
    local = None
    for slices in (0, 1, 4, 16, 64):
        executor = f"{{slurm: {{mem: 200M, poll: 10s, slices: {slices}}}}}" if slices else "local"
        times = []
        for _ in range(3):
            bench.write(small, executor)
            seconds, digests = bench.run()
            times.append(seconds)
            if digests != (local := local or digests):
                sys.exit("other bytes")
        what = {0: "local", 1: "two stages, a job each"}.get(slices, f"sssource in {slices} slices")
        print(f"  {what:<28} {sorted(times)[1]:6.2f} s")
    print(f"\n{objects:,} objects:")
    local = None
    for what, executor in [
        ("local", "local"),
        ("two stages, a job each", f"{{slurm: {{cpus: {os.cpu_count()}, mem: 8G, poll: 10s}}}}"),
        ("sssource in 4 slices", "{slurm: {mem: 4G, poll: 10s, slices: 4}}"),
    ]:
        bench.write(large, executor)
        seconds, digests = bench.run()
        print(f"  {what:<28} {seconds:6.1f} s  {' '.join(digests)}")
        if digests != (local := local or digests):
            sys.exit("other bytes")
    bench.write(large, executor)
    seconds, digests, kept = bench.attacked(seconds)
    print(f"  killed 5 times, a node lost  {seconds:6.1f} s  {' '.join(digests)}  ({kept} results kept)")
    if digests != local:
        sys.exit("other bytes")


if __name__ == "__main__":
    main()
