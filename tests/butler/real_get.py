#!/usr/bin/env python3
"""What the real Butler returns for the cases of a JSON file, one Parquet file per case. Run by `real.rs`."""

import functools
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from lsst.daf.butler import Butler, DatasetRef
from lsst.daf.butler.formatters.parquet import astropy_to_arrow


@functools.cache
def get(butler: Butler, ref: DatasetRef) -> pa.Table | None:
    """The table of a dataset, or nothing if its file cannot be found."""
    try:
        return astropy_to_arrow(butler.get(ref))
    except FileNotFoundError:
        return None


def rows(butler: Butler, case: dict) -> pa.Table:
    """The rows of a case, by data ID and run, each dataset once; ids compared as Python's integers."""
    refs = butler.registry.queryDatasets("dia_source_visit", collections=case["collection"],
                                         findFirst=case["find_first"])
    once = {ref.id: ref for ref in refs if ref.dataId["visit"] in case["visits"]}
    ids = None if case["ids"] is None else set(case["ids"])
    tables = []
    for ref in sorted(once.values(), key=lambda ref: (ref.dataId["visit"], ref.run)):
        table = get(butler, ref)
        if table is None:
            continue
        if ids is not None:
            values = table[case["target"]].to_pylist()
            table = table.filter(pa.array([value is not None and value in ids for value in values], pa.bool_()))
        tables.append(table.replace_schema_metadata())
    mixed = len({table.schema.field("diaSourceId").type for table in tables if table.num_rows}) > 1
    schema = tables[0].schema
    if mixed:
        schema = schema.set(0, schema.field(0).with_type(pa.int64()))
    elif any(table.num_rows for table in tables):
        schema = next(table.schema for table in tables if table.num_rows)
    whole = pa.concat_tables([table.cast(schema) for table in tables])
    return whole if case["columns"] is None else whole.select(case["columns"])


def main() -> None:
    repo, cases, out = sys.argv[1:]
    butler = Butler.from_config(repo)
    with open(cases) as file:
        for number, case in enumerate(json.load(file)):
            pq.write_table(rows(butler, case), f"{out}/{number}.parquet")


if __name__ == "__main__":
    main()
