#!/usr/bin/env python3
"""Times extract-catalog on a repository whose datasets are in S3, beside the real Butler and pyarrow, in one run.

    benches/stores.py [--repo REPO] [--command target/release/extract-catalog] [--runs 3] [--latency-ms 50] [--peers-only]

Makes the repository first (butler_repo.py, with its defaults) unless REPO is there, starts an S3 server (s3s-fs) on this
machine, and uploads the datasets. Reads them through a proxy, once as fast as it can and once with each request delayed.
Prints the best time of the runs, the CPU time, the peak memory and the requests of each; ends with 1 if a goal is missed. All outputs must hold the same rows. Needs fixtures/requirements-butler.txt, and s3s-fs from `ci/install s3`.
"""

import argparse
import asyncio
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from extract import RUN, best, check_same

BUCKET = "bench"
PREFIX = "butler"
# How many times faster than the real Butler, at least, without latency; in how many seconds at most with it.
GOALS = {"filtered": 10.0, "whole": 3.0}
MOST_SECONDS = {"filtered": 2.0}
METHODS = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ")


def pyarrow_way(repo: str, out: str, ids_file: str | None) -> None:
    """Without a Butler: the files of the bucket as one data set, filtered while they are read."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow.fs import S3FileSystem

    store = S3FileSystem(endpoint_override=os.environ["S3_ENDPOINT_URL"].removeprefix("http://"), scheme="http",
                         region=os.environ["AWS_DEFAULT_REGION"])
    condition = None
    if ids_file:
        ids = pq.read_table(ids_file, columns=["obssubid"])["obssubid"].cast(pa.int64())
        condition = pc.field("diaSourceId").isin(ids)
    keys = [f"{BUCKET}/{PREFIX}/{path}" for path in dataset_paths(Path(repo))]
    scanner = ds.dataset(keys, format="parquet", filesystem=store).scanner(filter=condition)
    with pq.ParquetWriter(out, scanner.projected_schema, compression="zstd", use_dictionary=False) as writer:
        for batch in scanner.to_batches():
            if batch.num_rows:
                writer.write_batch(batch)


def dataset_paths(repo: Path) -> list[str]:
    """The paths of all datasets, as the registry has them."""
    import sqlite3

    with sqlite3.connect(f"file:{repo / 'gen3.sqlite3'}?mode=ro", uri=True) as registry:
        return [path for path, in registry.execute("SELECT path FROM file_datastore_records ORDER BY path")]


class Server:
    """s3s-fs in a folder, on a free port. It ends with this program, also when that is killed."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("s3s-fs", path=f"{os.environ['PATH']}:{Path.home() / '.cargo/bin'}")
        if program is None:
            sys.exit("s3s-fs not found: ci/install s3 installs it")
        self.key, self.secret = secrets.token_hex(16), secrets.token_hex(32)
        log = folder / ".server.log"
        keeper = 'exec 3<&0; "$@" </dev/null 3<&- & server=$!; (read -r _ <&3; kill -KILL $server) & wait $server'
        arguments = ["--host", "127.0.0.1", "--port", "0", "--access-key", self.key, "--secret-key", self.secret]
        with log.open("w") as lines:
            self.process = subprocess.Popen(["sh", "-c", keeper, "sh", program, *arguments, str(folder)],
                                            stdin=subprocess.PIPE, stdout=lines, stderr=lines,
                                            env=os.environ | {"RUST_LOG": "s3s_fs=info"})
        for _ in range(1000):
            if found := re.search(r"running at http://127\.0\.0\.1:(\d+)\n", log.read_text()):
                self.port = int(found[1])
                return
            time.sleep(0.01)
        sys.exit(f"s3s-fs did not start: {log.read_text()}")

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Proxy:
    """Passes bytes on, and delays each request; in a thread of its own.

    s3s-fs sends head and body apart and leaves Nagle's algorithm on, so that each answer waits for a delayed ACK: 25 ms
    for a range of 10 kB, and 0.6 ms if the reader acknowledges at once, as this does. Other servers do not do that, so
    all tools read through a proxy, also without latency.
    """

    def __init__(self, upstream: int, seconds: float) -> None:
        self.upstream, self.seconds, self.requests, self.port = upstream, seconds, 0, None
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        ready.wait()

    async def serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self.connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def connection(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.upstream)
        connection = to_server.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        await asyncio.gather(self.copy(from_client, to_server, None), self.copy(from_server, to_client, connection))

    async def copy(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, server: socket.socket | None) -> None:
        try:
            while data := await source.read(1 << 18):
                if server:  # The kernel forgets it.
                    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                # These clients send a request when they have the answer to the one before it.
                if not server and data.startswith(METHODS):
                    self.requests += 1
                    await asyncio.sleep(self.seconds)
                to.write(data)
                await to.drain()
        except ConnectionError:
            pass  # A client that ends resets its connections.
        finally:
            to.close()


def upload(repo: Path, server: Server) -> None:
    """Through S3: s3s-fs would hash a file that was put into its folder at each request."""
    import boto3

    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{server.port}", aws_access_key_id=server.key,
                          aws_secret_access_key=server.secret, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    for path in dataset_paths(repo):
        with (repo / path).open("rb") as body:
            client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{path}", Body=body)


def remote_repository(repo: Path, folder: Path) -> Path:
    """The same registry, with the datasets in the bucket."""
    remote = folder / "repo"
    remote.mkdir()
    shutil.copy(repo / "gen3.sqlite3", remote)
    text = (repo / "butler.yaml").read_text()
    changed = text.replace("root: <butlerRoot>\n", f"root: s3://{BUCKET}/{PREFIX}/\n")
    if text == changed:
        sys.exit(f"{repo}/butler.yaml has no `root: <butlerRoot>`")
    (remote / "butler.yaml").write_text(changed)
    return remote


def check_rows(one: Path, other: Path) -> None:
    """The same columns and rows; types as pyarrow reads them may be wider."""
    import pyarrow.parquet as pq

    a, b = (pq.read_table(path).sort_by("diaSourceId").replace_schema_metadata() for path in (one, other))
    if not a.equals(b.select(a.column_names).cast(a.schema)):
        sys.exit("the outputs differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=Path, default=Path("target/bench/butler"))
    parser.add_argument("--command", default="target/release/extract-catalog")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--peers-only", action="store_true", help="leave extract-catalog out")
    parser.add_argument("--pyarrow-way", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--check", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.check:
        *native, butler, pyarrow = map(Path, args.check)
        check_rows(butler, pyarrow)
        if native:
            check_same(native[0], butler)
        return
    if args.pyarrow_way:
        pyarrow_way(*args.pyarrow_way[:2], args.pyarrow_way[2] if len(args.pyarrow_way) > 2 else None)
        return
    here = Path(__file__).parent
    if not (args.repo / "butler.yaml").exists():
        subprocess.run([sys.executable, str(here / "butler_repo.py"), "--out", str(args.repo)], check=True)
    ids = str(args.repo / "filter_ids.parquet")
    # Beside the repository: it needs the space that the repository takes.
    with tempfile.TemporaryDirectory(dir=args.repo.parent) as folder:
        folder = Path(folder).resolve()
        (folder / "s3").mkdir()
        server = Server(folder / "s3")
        try:
            missed = measure_all(args, here, folder, server, ids)
        finally:
            server.stop()
    sys.exit(missed)


def measure_all(args: argparse.Namespace, here: Path, folder: Path, server: Server, ids: str) -> bool:
    upload(args.repo, server)
    repo = str(remote_repository(args.repo, folder))
    # No other store may be used by mistake.
    for name in [name for name in os.environ if name.startswith(("AWS_", "S3_", "LSST_RESOURCES_"))]:
        del os.environ[name]
    os.environ |= {"AWS_ACCESS_KEY_ID": server.key, "AWS_SECRET_ACCESS_KEY": server.secret,
                   "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    missed = False
    for latency in (0.0, args.latency_ms):
        proxy = Proxy(server.port, latency / 1000)
        os.environ["S3_ENDPOINT_URL"] = f"http://127.0.0.1:{proxy.port}"
        for name, ids_file in [("filtered", ids), ("whole", None)]:
            out = {tool: folder / f"{tool}.parquet" for tool in ("native", "butler", "pyarrow")}
            commands = {
                "native": [args.command, str(out["native"]), repo, RUN, "--silent"],
                "butler": [sys.executable, str(here / "extract.py"), "--python-way", repo, str(out["butler"])],
                "pyarrow": [sys.executable, __file__, "--pyarrow-way", repo, str(out["pyarrow"])],
            }
            if ids_file:
                commands["native"] += ["--filter-ids", ids, "--filter-column", "obssubid"]
                commands["butler"].append(ids)
                commands["pyarrow"].append(ids)
            if args.peers_only:
                del commands["native"]
            figures = {}
            for tool, command in commands.items():
                before = proxy.requests
                figures[tool] = (*best(command, args.runs), (proxy.requests - before) // args.runs)
            # In a process of its own: the peak memory of a child is at least what this one has had.
            outputs = [str(path) for tool, path in out.items() if tool in figures]
            subprocess.run([sys.executable, __file__, "--check", *outputs], check=True)
            print(f"{name}, {latency:.0f} ms of latency per request")
            for tool, (seconds, cpu, peak, requests) in figures.items():
                line = f"  {tool:8s} {seconds:7.2f} s {cpu:7.2f} CPU s {peak:6.0f} MB {requests:6d} requests"
                line += f" {seconds / figures['native'][0]:7.1f} x" if "native" in figures else ""
                print(line, flush=True)
            if "native" not in figures:
                continue
            ours, butler = figures["native"][0], figures["butler"][0]
            if not latency and butler / ours < GOALS[name]:
                print(f"  missed: {GOALS[name]:.0f} x faster than the real Butler")
                missed = True
            if latency and ours > MOST_SECONDS.get(name, ours):
                print(f"  missed: at most {MOST_SECONDS[name]:.0f} s")
                missed = True
    return missed


if __name__ == "__main__":
    main()
