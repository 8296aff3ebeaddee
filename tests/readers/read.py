"""Print what pyarrow, DuckDB and Polars read from a Parquet file; all three must agree.

    read.py FILE

A short file is printed in full. Of a long one a digest of all values and the first row are.
"""
import datetime
import decimal
import hashlib
import json
import math
import sys
import uuid

import duckdb
import polars
import pyarrow.parquet as pq

FULL = 20


def plain(value):
    """A value as text that does not depend on the reader's own classes."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, (bytes, bytearray)):
        return "0x" + value.hex()
    if isinstance(value, uuid.UUID):
        return "0x" + value.bytes.hex()
    if isinstance(value, datetime.datetime):
        zone = "Z" if value.tzinfo else ""
        return value.replace(tzinfo=None).isoformat() + zone if not zone else \
            value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat() + zone
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    raise SystemExit(f"{type(value)} was not expected")


def by_pyarrow(path):
    table = pq.read_table(path)
    return table.column_names, [tuple(row.values()) for row in table.to_pylist()]


def by_duckdb(path):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    result = connection.execute("SELECT * FROM read_parquet(?)", [path])
    return [column[0] for column in result.description], result.fetchall()


def by_polars(path):
    frame = polars.read_parquet(path)
    return frame.columns, frame.rows()


def main():
    path = sys.argv[1]
    found = {}
    for reader in (by_pyarrow, by_duckdb, by_polars):
        names, rows = reader(path)
        found[reader.__name__] = names, [[plain(value) for value in row] for row in rows]
    names, rows = found["by_pyarrow"]
    for reader, other in found.items():
        if other != (names, rows):
            for ours, theirs in zip(rows, other[1]):
                if ours != theirs:
                    raise SystemExit(f"{reader} reads {theirs}\nand not {ours}")
            raise SystemExit(f"{reader} reads {len(other[1])} rows of {other[0]}, and not {len(rows)} of {names}")
    metadata = pq.ParquetFile(path).metadata
    print(f"{len(rows)} rows, {metadata.num_row_groups} row groups")
    for field in pq.read_schema(path):
        print(f"{field.name}: {field.type}{'' if field.nullable else ' not null'}")
    for row in rows if len(rows) <= FULL else rows[:1]:
        print(json.dumps(row, ensure_ascii=False))
    if len(rows) > FULL:
        text = json.dumps(rows, ensure_ascii=False).encode()
        print("digest", hashlib.sha256(text).hexdigest())


if __name__ == "__main__":
    main()
