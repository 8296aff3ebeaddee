#!/usr/bin/env python3
"""Times extract-catalog on a repository whose datasets are in a store, beside the real Butler and pyarrow, in one run.

    benches/stores.py [--server s3s-fs] [--repo REPO] [--command target/release/extract-catalog] [--runs 3]
                      [--latency-ms 50] [--peers-only]

Makes the repository first (butler_repo.py, with its defaults) unless REPO is there, starts the server on this machine, and
uploads the datasets. Servers: s3s-fs (`ci/install s3`), garage (`cargo install garage --version 2.5.0 --locked`), and nginx
for https reading (`ci/install nginx`). Reads the datasets through a proxy, once as fast as it can and once with each request
delayed. Prints the best time of the runs, the CPU time, the peak memory and the requests of each, and the CPU time of the
server; ends with 1 if a goal is missed. All outputs must hold the same rows. Needs fixtures/requirements-butler.txt.
"""

import argparse
import contextlib
import fcntl
import getpass
import os
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


def pyarrow_way(repo: str, out: str, ids_file: str | None = None) -> None:
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
    """A server in a folder, on a free port. It ends with this program, also when that is killed."""

    keeper = 'exec 3<&0; "$@" </dev/null 3<&- & server=$!; (read -r _ <&3; kill -KILL $server) & wait $server'
    program, scheme = "", "s3"

    def __init__(self, folder: Path) -> None:
        program = shutil.which(self.program, path=f"{os.environ['PATH']}:/usr/sbin:{Path.home() / '.cargo/bin'}")
        if program is None:
            sys.exit(f"{self.program} not found: see `benches/stores.py --help`")
        self.folder, self.port = folder, free_port()
        self.key, self.secret = f"GK{secrets.token_hex(12)}", secrets.token_hex(32)
        self.log = folder / ".server.log"
        with self.log.open("w") as lines:
            self.process = subprocess.Popen(["sh", "-c", self.keeper, "sh", program, *self.arguments()],
                                            stdin=subprocess.PIPE, stdout=lines, stderr=lines,
                                            env=os.environ | self.environment())
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        sys.exit(f"{self.program} did not start: {self.log.read_text()}")

    def arguments(self) -> list[str]:
        return []

    def environment(self) -> dict[str, str]:
        return {}

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def cpu(self) -> float:
        """CPU seconds of the server and of all that it started, so far."""
        listing = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        processes = [line.split() for line in listing.splitlines()]
        found, seconds = {str(self.process.pid)}, 0.0
        for _ in range(3):
            found |= {pid for pid, parent in processes if parent in found}
        for pid in found:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                seconds += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        return seconds

    def root(self, port: int) -> str:
        """The root of the datastore, as a client of the server at a port writes it."""
        return f"s3://{BUCKET}/{PREFIX}/"

    def upload(self, repo: Path) -> None:
        """Through S3: s3s-fs would hash a file that was put into its folder at each request."""
        import boto3

        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self.port}", aws_access_key_id=self.key,
                              aws_secret_access_key=self.secret, region_name="us-east-1")
        with contextlib.suppress(client.exceptions.ClientError):
            client.create_bucket(Bucket=BUCKET)
        for path in dataset_paths(repo):
            with (repo / path).open("rb") as body:
                client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{path}", Body=body)


class S3sFs(Server):
    program = "s3s-fs"

    def arguments(self) -> list[str]:
        return ["--host", "127.0.0.1", "--port", str(self.port), "--access-key", self.key,
                "--secret-key", self.secret, str(self.folder)]


class Garage(Server):
    program = "garage"

    def arguments(self) -> list[str]:
        lines = [f'{name}_dir = "{self.folder}/{name}"' for name in ("metadata", "data")]
        lines += ['db_engine = "sqlite"', "replication_factor = 1", 'compression_level = "none"',
                  f'rpc_bind_addr = "127.0.0.1:{free_port()}"', f'rpc_secret = "{secrets.token_hex(32)}"',
                  "[s3_api]", 's3_region = "us-east-1"', f'api_bind_addr = "127.0.0.1:{self.port}"']
        config = self.folder / "garage.toml"
        config.write_text("\n".join(lines))
        return ["-c", str(config), "server", "--single-node", "--default-bucket"]

    def environment(self) -> dict[str, str]:
        return {"GARAGE_DEFAULT_ACCESS_KEY": self.key, "GARAGE_DEFAULT_SECRET_KEY": self.secret,
                "GARAGE_DEFAULT_BUCKET": BUCKET, "RUST_LOG": "error"}


class Nginx(Server):
    program, scheme = "nginx", "http"

    def arguments(self) -> list[str]:
        (self.folder / PREFIX).mkdir()
        config = self.folder / "nginx.conf"
        user = f"user {getpass.getuser()};" if os.getuid() == 0 else ""
        config.write_text(f"daemon off; pid {self.folder}/pid; error_log {self.log}; {user}\n"
                          "events {}\nhttp { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n"
                          f"server {{ listen 127.0.0.1:{self.port}; root {self.folder}; }} }}\n")
        return ["-p", str(self.folder), "-c", str(config)]

    def root(self, port: int) -> str:
        return f"http://127.0.0.1:{port}/{PREFIX}/"

    def upload(self, repo: Path) -> None:
        for path in dataset_paths(repo):
            target = self.folder / PREFIX / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repo / path, target)


SERVERS = {"s3s-fs": S3sFs, "garage": Garage, "nginx": Nginx}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Proxy:
    """Passes bytes on, and delays each request; in threads of its own. Answers do not pass through the memory of this program."""

    def __init__(self, upstream: int, seconds: float) -> None:
        self.upstream, self.seconds, self.requests = upstream, seconds, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.upstream))
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.pass_requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self.pass_answers, args=(server, client), daemon=True).start()

    def pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                # These clients send a request when they have the answer to the one before it.
                if data.startswith(METHODS):
                    self.requests += 1
                    time.sleep(self.seconds)
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        source, sink = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, 1 << 20)
            while count := os.splice(server.fileno(), sink, 1 << 20):
                # s3s-fs sends head and body apart and waits for an ACK between them; the kernel forgets this option.
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                while count:
                    count -= os.splice(source, client.fileno(), count)
        for end in (source, sink):
            os.close(end)
        # A client that ends resets its connections.
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def remote_repository(repo: Path, folder: Path, root: str) -> Path:
    """The same registry, with the datasets in the store."""
    remote = folder / "repo"
    remote.mkdir(exist_ok=True)
    shutil.copy(repo / "gen3.sqlite3", remote)
    text = (repo / "butler.yaml").read_text()
    changed = text.replace("root: <butlerRoot>\n", f"root: {root}\n")
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
    parser.add_argument("--server", choices=SERVERS, default="s3s-fs")
    parser.add_argument("--peers-only", action="store_true", help="leave extract-catalog out")
    parser.add_argument("--pyarrow-way", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--check", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.check:
        outputs = {Path(path).stem: Path(path) for path in args.check}
        if "pyarrow" in outputs:
            check_rows(outputs["butler"], outputs["pyarrow"])
        if "native" in outputs:
            check_same(outputs["native"], outputs["butler"])
        return
    if args.pyarrow_way:
        pyarrow_way(*args.pyarrow_way)
        return
    here = Path(__file__).parent
    if not (args.repo / "butler.yaml").exists():
        subprocess.run([sys.executable, str(here / "butler_repo.py"), "--out", str(args.repo)], check=True)
    ids = str(args.repo / "filter_ids.parquet")
    # Beside the repository: it needs the space that the repository takes.
    with tempfile.TemporaryDirectory(dir=args.repo.parent) as folder:
        folder = Path(folder).resolve()
        folder.chmod(0o755)
        (folder / "store").mkdir()
        server = SERVERS[args.server](folder / "store")
        try:
            missed = measure_all(args, here, folder, server, ids)
        finally:
            server.stop()
    sys.exit(missed)


def measure_all(args: argparse.Namespace, here: Path, folder: Path, server: Server, ids: str) -> bool:
    server.upload(args.repo)
    # No other store may be used by mistake.
    for name in [name for name in os.environ if name.startswith(("AWS_", "S3_", "LSST_RESOURCES_"))]:
        del os.environ[name]
    os.environ |= {"AWS_ACCESS_KEY_ID": server.key, "AWS_SECRET_ACCESS_KEY": server.secret,
                   "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    missed = False
    for latency in (0.0, args.latency_ms):
        proxy = Proxy(server.port, latency / 1000)
        os.environ["S3_ENDPOINT_URL"] = f"http://127.0.0.1:{proxy.port}"
        repo = str(remote_repository(args.repo, folder, server.root(proxy.port)))
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
            if server.scheme != "s3":
                del commands["pyarrow"]
            figures = {}
            for tool, command in commands.items():
                before, busy = proxy.requests, server.cpu()
                figures[tool] = (*best(command, args.runs), (proxy.requests - before) // args.runs,
                                 (server.cpu() - busy) / args.runs)
            # In a process of its own: the peak memory of a child is at least what this one has had.
            outputs = [str(path) for tool, path in out.items() if tool in figures]
            subprocess.run([sys.executable, __file__, "--check", *outputs], check=True)
            print(f"{name}, {latency:.0f} ms of latency per request")
            for tool, (seconds, cpu, peak, requests, of_server) in figures.items():
                line = f"  {tool:8s} {seconds:7.2f} s {cpu:7.2f} CPU s {peak:6.0f} MB {requests:6d} requests"
                line += f" {of_server:6.2f} CPU s of the server"
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
