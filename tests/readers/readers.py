"""The three readers: each gives a Parquet file as a Table, and counts the rows with a given id."""

import re

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

from table import Table

# Each reader's name of a type -> ours. A type that is not here keeps the reader's name, so that it differs.
ARROW = {
    "bool": "bool", "int16": "int16", "int32": "int32", "int64": "int64", "uint64": "uint64", "float": "float32",
    "double": "float64", "string": "string", "timestamp[us]": "timestamp", "timestamp[us, tz=UTC]": "timestamp_utc",
    "list<string>": "list<string>",
}
DUCKDB = {
    "BOOLEAN": "bool", "SMALLINT": "int16", "INTEGER": "int32", "BIGINT": "int64", "UBIGINT": "uint64",
    "FLOAT": "float32", "DOUBLE": "float64", "VARCHAR": "string", "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp_utc", "VARCHAR[]": "list<string>",
}
POLARS = {
    "Boolean": "bool", "Int16": "int16", "Int32": "int32", "Int64": "int64", "UInt64": "uint64",
    "Float32": "float32", "Float64": "float64", "String": "string",
    "Datetime(time_unit='us', time_zone=None)": "timestamp",
    "Datetime(time_unit='us', time_zone='UTC')": "timestamp_utc", "List(String)": "list<string>",
}


def from_arrow(table: pa.Table) -> Table:
    """An Arrow table as a Table."""
    types, values = {}, {}
    for field, column in zip(table.schema, table.columns, strict=True):
        # The name of a list's element is of no importance.
        name = re.sub(r"<\w+: ", "<", str(field.type))
        types[field.name] = ARROW.get(name, name)
        moments = pa.types.is_timestamp(field.type)
        values[field.name] = (column.cast(pa.int64()) if moments else column).to_pylist()
    return Table(types, values)


class Pyarrow:
    """pyarrow."""

    def table(self, path) -> Table:
        return from_arrow(pq.read_table(path))

    def count(self, path, column: str, value: int) -> int:
        return pq.read_table(path, columns=[column], filters=[(column, "=", value)]).num_rows


class Duckdb:
    """DuckDB."""

    def __init__(self):
        self.connection = duckdb.connect()

    def table(self, path) -> Table:
        described = self.connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        types = {name: DUCKDB.get(kind, kind) for name, kind, *_ in described}
        terms = [f'epoch_us("{n}")' if t.startswith("timestamp") else f'"{n}"' for n, t in types.items()]
        query = f"SELECT {', '.join(terms)} FROM read_parquet(?)"
        rows = self.connection.execute(query, [str(path)]).fetchall()
        return Table(types, {name: [row[k] for row in rows] for k, name in enumerate(types)})

    def count(self, path, column: str, value: int) -> int:
        query = f'SELECT count(*) FROM read_parquet(?) WHERE "{column}" = ?'
        return self.connection.execute(query, [str(path), value]).fetchone()[0]


class Polars:
    """Polars."""

    def table(self, path) -> Table:
        frame = polars.read_parquet(path)
        types = {name: POLARS.get(str(kind), str(kind)) for name, kind in frame.schema.items()}
        moments = [name for name, kind in types.items() if kind.startswith("timestamp")]
        frame = frame.with_columns(polars.col(moments).to_physical()) if moments else frame
        return Table(types, {name: frame[name].to_list() for name in types})

    def count(self, path, column: str, value: int) -> int:
        rows = polars.scan_parquet(path).filter(polars.col(column) == value)
        return rows.select(polars.len()).collect().item()


READERS = [Pyarrow(), Duckdb(), Polars()]
