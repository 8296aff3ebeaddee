#!/usr/bin/env python3
"""Time ssp-run where there is nothing to do: beside DVC and Snakemake, over gigabytes of outputs, with 2,000 stages.

    benches/runner.py [--tool target/release/ssp-run] [--repeat 15] [--gigabytes 10] [--stages 2000] [--without peers,big,many]

Needs the PostgreSQL server programs and, for the peers, what benches/runner-requirements.txt names. All tools run in turn;
the median counts, as wall-clock milliseconds of the whole process.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from export import Server

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SURVEY = os.path.join(ROOT, "fixtures", "survey")


def timed(command, **how):
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)
    milliseconds = (time.perf_counter() - begin) * 1000
    if done.returncode:
        raise SystemExit(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return milliseconds, done.stdout + done.stderr


def line(name, times, floor=None):
    ratio = f"{statistics.median(times) / floor:8.1f}" if floor else ""
    print(f"{name:48} {statistics.median(times):9.1f} ms {min(times):9.1f} ms {ratio}", flush=True)


def environment(server):
    port = server.uri.rpartition("port=")[2]
    return {**os.environ, "PGHOST": server.folder, "PGPORT": port, "PGUSER": "ssp", "PGDATABASE": "postgres"}


def settle(run):
    """Runs until digests are remembered: files younger than 2 s are read again."""
    run()
    time.sleep(3)
    run()


def site(server, folder):
    """The demo's pipeline on the survey."""
    for name in ("butler", "inputs", "pipelines"):
        os.makedirs(os.path.join(folder, name))
    shutil.copytree(os.path.join(SURVEY, "butler"), os.path.join(folder, "butler"), dirs_exist_ok=True)
    shutil.copy(os.path.join(SURVEY, "sssource.parquet"), os.path.join(folder, "inputs"))
    shutil.copy(os.path.join(ROOT, "pipelines", "demo.yaml"), os.path.join(folder, "pipelines"))
    load = f"CREATE DATABASE mpc_sbn;\n\\connect mpc_sbn\n\\i {os.path.join(SURVEY, 'mpc_sbn.sql')}\n"
    subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", server.uri], input=load, text=True, check=True,
                   stdout=subprocess.DEVNULL)


EDGES = {"obs_sbn": [], "mpc_orbits": [], "current_identifications": [], "numbered_identifications": [],
         "dia_sources": ["obs_sbn"], "ssobject": ["dia_sources", "mpc_orbits"]}


def dvc(folder, data):
    """The same stages and files as shell commands that copy."""
    os.makedirs(folder)
    stages = ""
    for stage, needs in EDGES.items():
        shutil.copy(os.path.join(data, f"{stage}.parquet"), os.path.join(folder, f"{stage}.in"))
        deps = "".join(f"      - {name}\n" for name in [f"{stage}.in"] + [f"{need}.parquet" for need in needs])
        stages += (f"  {stage}:\n    cmd: cp {stage}.in {stage}.parquet\n    deps:\n{deps}"
                   f"    outs:\n      - {stage}.parquet\n")
    with open(os.path.join(folder, "dvc.yaml"), "w") as file:
        file.write("stages:\n" + stages)
    tool = os.path.join(os.path.dirname(sys.executable), "dvc")
    quiet = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run([tool, "init", "--no-scm", "-q"], cwd=folder, check=True, env=quiet)
    subprocess.run([tool, "repro", "-q"], cwd=folder, check=True, env=quiet)
    return lambda: timed([tool, "repro"], cwd=folder, env=quiet)[0]


def snakemake(folder, data):
    os.makedirs(folder)
    rules = "rule all:\n    input: 'ssobject.parquet', 'current_identifications.parquet', 'numbered_identifications.parquet'\n"
    for stage, needs in EDGES.items():
        shutil.copy(os.path.join(data, f"{stage}.parquet"), os.path.join(folder, f"{stage}.in"))
        inputs = ", ".join(repr(name) for name in [f"{stage}.in"] + [f"{need}.parquet" for need in needs])
        rules += (f"rule {stage}:\n    input: {inputs}\n    output: '{stage}.parquet'\n"
                  f"    shell: 'cp {stage}.in {stage}.parquet'\n")
    with open(os.path.join(folder, "Snakefile"), "w") as file:
        file.write(rules)
    tool = os.path.join(os.path.dirname(sys.executable), "snakemake")
    subprocess.run([tool, "-q", "all", "-c", "1"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    return lambda: timed([tool, "-n"], cwd=folder)[0]


def beside_peers(options, server, folder):
    home = os.path.join(folder, "ssp")
    site(server, home)
    where = environment(server)
    ssp = lambda *flags: timed([options.tool, "-q", *flags, "pipelines/demo.yaml"], cwd=home, env=where)[0]
    settle(ssp)
    data = os.path.join(home, "data")
    tools = {"ssp-run (asks the database)": ssp, "ssp-run --reuse-exports (asks no database)": lambda: ssp("--reuse-exports"),
             "ssp-run -n": lambda: ssp("-n")}
    tools["dvc repro"] = dvc(os.path.join(folder, "dvc"), data)
    tools["snakemake -n"] = snakemake(os.path.join(folder, "snakemake"), data)
    times = {name: [] for name in tools}
    for _ in range(options.repeat):
        for name, run in tools.items():
            times[name].append(run())
    print("six stages, all up to date; the last column is against ssp-run without the database, as the others have none")
    floor = statistics.median(times["ssp-run --reuse-exports (asks no database)"])
    for name in tools:
        line(name, times[name], floor)


def exports(folder, stages, sql):
    """A pipeline of exports."""
    os.makedirs(folder)
    text = "version: 1\nname: bench\nout_dir: data\ndatabase: {connections: 2}\ndefaults: {compression: none}\nstages:\n"
    for number in range(stages):
        text += f"  s{number}:\n    export: {{sql: \"{sql.format(number=number)}\"}}\n    out: s{number}.parquet\n"
    with open(os.path.join(folder, "p.yaml"), "w") as file:
        file.write(text)


def run_exports(options, server, folder, name, plans):
    where = environment(server)
    ssp = lambda *flags: timed([options.tool, "-q", *flags, "p.yaml"], cwd=folder, env=where)[0]
    settle(ssp)
    size = sum(entry.stat().st_size for entry in os.scandir(os.path.join(folder, "data")) if entry.is_file())
    print(f"\n{name}: {size / 1e9:.2f} GB of outputs")
    for flags in plans:
        line("ssp-run " + " ".join(flags), [ssp(*flags) for _ in range(options.repeat)])
    shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="target/release/ssp-run")
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--gigabytes", type=int, default=10)
    parser.add_argument("--stages", type=int, default=2000)
    parser.add_argument("--without", default="")
    options = parser.parse_args()
    options.tool = os.path.abspath(options.tool)
    without = options.without.split(",")
    server = Server()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-runner-", dir=os.path.join(ROOT, "target")) as folder:
            if "peers" not in without:
                beside_peers(options, server, os.path.join(folder, "peers"))
            if "many" not in without:
                many = os.path.join(folder, "many")
                exports(many, options.stages, "SELECT {number} AS n")
                run_exports(options, server, many, f"{options.stages} stages", [["-n"], ["-n", "--reuse-exports"], []])
            if "big" not in without:
                big = os.path.join(folder, "big")
                # A million texts of 1,000 letters that no encoding shortens much.
                sql = ("SELECT g::bigint AS id, repeat(md5(g::text || '{number}'), 31) AS text "
                       "FROM generate_series(1, 1000000) g")
                exports(big, options.gigabytes, sql)
                run_exports(options, server, big, f"{options.gigabytes} big stages", [[], ["-n"]])
    finally:
        server.stop()


if __name__ == "__main__":
    main()
