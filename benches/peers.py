#!/usr/bin/env python3
"""Export one table to zstd Parquet with another tool, to time beside fast-export (adapted from the project's material).

    ./peers.py seed|adbc|connectorx|duckdb URI TABLE OUT.parquet

What they need is in requirements.txt. `seed` is what fast-export replaces: psql writes CSV to a temporary file, and
pyarrow reads that.
"""
import os
import subprocess
import sys
import tempfile


def seed(uri, table, out):
    import pyarrow.csv as csv
    import pyarrow.parquet as pq
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(out), suffix=".csv") as file:
        copy = f"COPY (SELECT * FROM {table}) TO STDOUT (FORMAT csv, HEADER)"
        subprocess.run(["psql", "-X", "-q", "-c", copy, uri], stdout=file, check=True)
        writer = None
        options = csv.ReadOptions(block_size=64 << 20)
        convert = csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
        parse = csv.ParseOptions(newlines_in_values=True)
        with csv.open_csv(file.name, options, parse, convert) as reader:
            try:
                for batch in reader:
                    writer = writer or pq.ParquetWriter(out, batch.schema, compression="zstd")
                    writer.write_batch(batch)
            except Exception as error:  # A type that the first block did not show: all as text then.
                print(f"seed: {error}; reading all columns as text", file=sys.stderr)
                return seed_as_text(file.name, out, options, parse)
        if writer:
            writer.close()


def seed_as_text(name, out, options, parse):
    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.parquet as pq
    with csv.open_csv(name, options, parse) as reader:
        names = reader.schema.names
    convert = csv.ConvertOptions(column_types={name: pa.string() for name in names}, strings_can_be_null=True,
                                 quoted_strings_can_be_null=False)
    with csv.open_csv(name, options, parse, convert) as reader, \
            pq.ParquetWriter(out, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


def adbc(uri, table, out):
    import adbc_driver_postgresql.dbapi as dbapi
    import pyarrow.parquet as pq
    with dbapi.connect(uri) as c, c.cursor() as cur:
        cur.execute(f"SELECT * FROM {table}")
        writer = None
        for batch in cur.fetch_record_batch():
            writer = writer or pq.ParquetWriter(out, batch.schema, compression="zstd")
            writer.write_batch(batch)
        if writer:
            writer.close()


def connectorx(uri, table, out):
    import connectorx as cx
    import pyarrow.parquet as pq
    pq.write_table(cx.read_sql(uri, f"SELECT * FROM {table}", return_type="arrow", protocol="binary"), out, compression="zstd")


def duckdb(uri, table, out):
    import duckdb as d
    import duckdb_extension_postgres_scanner as e
    path = os.path.join(os.path.dirname(e.__file__), "extensions", f"v{d.__version__}", "postgres_scanner.duckdb_extension")
    c = d.connect(config={"allow_unsigned_extensions": "true"})
    c.execute(f"LOAD '{path}'")
    c.execute(f"ATTACH '{uri}' AS pg (TYPE postgres, READ_ONLY)")
    c.execute(f"COPY (SELECT * FROM pg.public.{table}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


if __name__ == "__main__":
    tool, uri, table, out = sys.argv[1:5]
    {"seed": seed, "adbc": adbc, "connectorx": connectorx, "duckdb": duckdb}[tool](uri, table, out)
