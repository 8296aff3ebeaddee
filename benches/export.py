#!/usr/bin/env python3
"""Time fast-export beside psql's binary COPY and other tools: wall clock, processor time,
peak memory, and the ratio to psql.

    benches/export.py --tool target/release/fast-export [--scale 1.0] [--repeat 3] [--tables obs_sbn,photometry,mpc_orbits]
                      [--peers seed,adbc,connectorx,duckdb] [--uri URI [--tcp-uri URI]]

Without --uri it starts a server of its own in a temporary folder and fills it with mpc_tables.py; the machine needs the
PostgreSQL server programs for that. Every tool runs --repeat times, all tools in turn, so that what else the machine does
falls on all of them; the median counts. Processor time (user and system) and peak memory are those of the client and its
children, not of the server.
"""
import argparse
import itertools
import os
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
            "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "8GB", "shared_buffers": "2GB",
            "timezone": "UTC", "listen_addresses": "127.0.0.1"}


class Server:
    """A server in a temporary folder, stopped and removed at the end."""

    def __init__(self):
        bindir = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
        self.folder = tempfile.mkdtemp(prefix="bench-export-")
        self.user = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data = os.path.join(self.folder, "data")
        self.run([f"{bindir}/initdb", "-D", data, "--no-sync", "-A", "trust", "-U", "ssp", "--locale=C", "-E", "UTF8"])
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.process = subprocess.Popen([f"{bindir}/postgres", "-D", data, "-k", self.folder, "-p", str(port)] + settings,
                                        cwd=self.folder, stderr=subprocess.DEVNULL, **self.user)
        self.uri = f"postgresql://ssp@/postgres?host={self.folder}&port={port}"
        self.tcp = f"postgresql://ssp@127.0.0.1:{port}/postgres"
        for _ in range(300):
            if subprocess.run(["psql", "-XqAtc", "SELECT 1", self.uri], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit("the server did not start")

    def run(self, command):
        subprocess.run(command, cwd=self.folder, stdout=subprocess.DEVNULL, check=True, **self.user)

    def load(self, scale):
        sql = subprocess.Popen([sys.executable, os.path.join(HERE, "mpc_tables.py"), "--scale", str(scale)],
                               stdout=subprocess.PIPE)
        subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", self.uri], stdin=sql.stdout, check=True,
                       stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


def measure(command):
    """Seconds, processor seconds and peak resident megabytes of a command."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        return None, None, None, said.strip().splitlines()[-1:] or ["failed"]
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, said


def commands(options, uri, tcp, table, out):
    yield "psql COPY binary", ["psql", "-Xq", "-c", f"COPY (SELECT * FROM {table}) TO STDOUT (FORMAT binary)", uri]
    tools = [("fast-export", options.tool)] + ([("before", options.before)] if options.before else [])
    for (name, tool), jobs in itertools.product(tools, options.jobs.split(",")):
        yield f"{name} -j {jobs}", [tool, "--dsn", uri, "--sql", f"SELECT * FROM {table}", "--out", out,
                                         "--jobs", jobs, "--silent"]
    for peer in filter(None, options.peers.split(",")):
        yield peer, [sys.executable, os.path.join(HERE, "peers.py"), peer, tcp if peer == "connectorx" else uri, table, out]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="target/release/fast-export")
    parser.add_argument("--before", help="an earlier version of the tool, measured beside it")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--tables", default="obs_sbn,photometry,mpc_orbits")
    parser.add_argument("--peers", default="seed,adbc,connectorx,duckdb")
    parser.add_argument("--jobs", default="1,2")
    parser.add_argument("--uri")
    parser.add_argument("--tcp-uri", help="the same server for connectorx, which knows no sockets")
    options = parser.parse_args()
    server = None if options.uri else Server()
    try:
        if server:
            server.load(options.scale)
        uri, tcp = (server.uri, server.tcp) if server else (options.uri, options.tcp_uri or options.uri)
        with tempfile.TemporaryDirectory(prefix="bench-export-out-") as folder:
            for table in options.tables.split(","):
                report(options, uri, tcp, table, os.path.join(folder, table + ".parquet"))
    finally:
        if server:
            server.stop()


def report(options, uri, tcp, table, out):
    subprocess.run(["psql", "-XqAtc", f"SELECT count(*) FROM {table}", uri], stdout=subprocess.DEVNULL, check=True)
    found, processor, sizes, memory, failed = {}, {}, {}, {}, {}
    for _ in range(options.repeat):
        for name, command in commands(options, uri, tcp, table, out):
            if os.path.exists(out):
                os.remove(out)
            seconds, cpu, megabytes, said = measure(command)
            if seconds is None:
                failed[name] = said[0]
                continue
            found.setdefault(name, []).append(seconds)
            processor.setdefault(name, []).append(cpu)
            memory[name] = max(memory.get(name, 0), megabytes)
            if os.path.exists(out):
                sizes[name] = os.path.getsize(out) / 1e6
    floor = statistics.median(found["psql COPY binary"])
    print(f"\n{table}\n{'tool':20} {'median s':>9} {'best s':>8} {'x psql':>7} {'CPU s':>7} {'peak MB':>8} {'file MB':>8}")
    for name, _ in commands(options, uri, tcp, table, out):
        if name in found:
            median, cpu = statistics.median(found[name]), statistics.median(processor[name])
            size = f"{sizes[name]:8.1f}" if name in sizes else " " * 8
            print(f"{name:20} {median:9.2f} {min(found[name]):8.2f} {median / floor:7.2f} {cpu:7.2f} {memory[name]:8.0f} {size}")
        else:
            print(f"{name:20} failed: {failed.get(name)}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
