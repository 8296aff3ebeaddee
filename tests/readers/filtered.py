"""Print how many rows of a Parquet file have a number in a range, as pyarrow, DuckDB and Polars find them by the statistics
of row groups and pages, and the sum of the numbers; all three must agree.

    filtered.py FILE COLUMN FROM TO
"""
import sys

import duckdb
import polars
import pyarrow.parquet as pq


def main():
    path, column, low, high = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    table = pq.read_table(path, filters=[(column, ">=", low), (column, "<=", high)])
    frame = polars.scan_parquet(path).filter(polars.col(column).is_between(low, high)).collect()
    query = f'SELECT count(*), sum("{column}") FROM read_parquet(?) WHERE "{column}" BETWEEN ? AND ?'
    found = {
        "pyarrow": (table.num_rows, sum(table[column].to_pylist())),
        "DuckDB": tuple(int(value or 0) for value in duckdb.execute(query, [path, low, high]).fetchone()),
        "Polars": (frame.height, int(frame[column].sum())),
    }
    if len(set(found.values())) != 1:
        raise SystemExit(f"the readers differ: {found}")
    print(*found["DuckDB"])


if __name__ == "__main__":
    main()
