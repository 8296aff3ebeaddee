#!/usr/bin/env python3
"""Check that compare.py finds what it is for: right files pass, and each way of spoiling one is found.

    python tests/readers/check_compare.py --dsn-args "-h SOCKET -p PORT -U USER -d DBNAME"

The database holds fixtures/survey/mpc_sbn.sql. The right files are made with pyarrow from Postgres' row_to_json, a
path that compare.py does not use.
"""

import argparse
import json
import math
import pathlib
import shlex
import sys
import tempfile
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq

import compare
from postgres import Postgres
from table import Checks

ARROW = {
    "bool": pa.bool_(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64(), "float32": pa.float32(),
    "float64": pa.float64(), "string": pa.string(), "timestamp": pa.timestamp("us"),
    "timestamp_utc": pa.timestamp("us", "UTC"), "list<string>": pa.list_(pa.string()),
}
EXPECTED = json.loads((compare.SURVEY / "expected.json").read_text(encoding="utf-8"))
READER_NAMES = [type(reader).__name__ for reader in compare.READERS]
QUERIES = compare.exports("X05")


def exported(postgres: Postgres, name: str) -> pa.Table:
    """The right file of an export."""
    excluded = compare.EXCLUDED.get(name, [])
    types = postgres.table(f"{QUERIES[name]} LIMIT 0", excluded).types
    required = postgres.not_null(name)
    # Numbers as text: json reads -0 as the integer 0.
    parse = json.JSONDecoder(parse_int=str, parse_float=str).decode
    rows = [parse(line) for line in postgres.lines(f"SELECT row_to_json(this_row) FROM ({QUERIES[name]}) this_row;")]
    columns, fields = [], []
    for column, kind in types.items():
        values = [row[column] for row in rows]
        if number := {"f": float, "i": int}.get(kind[0]):
            values = [None if v is None else number(v) for v in values]
        if kind.startswith("timestamp"):
            columns.append(pa.array(values, pa.string()).cast(ARROW[kind]))
        else:
            columns.append(pa.array(values, ARROW[kind]))
        fields.append(pa.field(column, ARROW[kind], column not in required))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def made_up_objects() -> pa.Table:
    """An SSObject with the right objects and counts, and made-up fits."""
    objects = sorted((o for o in EXPECTED["objects"] if o["n_obs"]), key=lambda o: int(o["ss_object_id"]))
    special, rows = EXPECTED["special"], []
    for o in objects:
        row = dict.fromkeys(compare.ssobject_types(), None)
        orbit = o["designation"] not in (special["object_without_orbit"], special["object_with_incomplete_orbit"])
        extended = o["designation"] != special["object_without_extendedness"]
        row |= {"ssObjectId": int(o["ss_object_id"]), "designation": o["designation"], "nObs": o["n_obs"], "arc": 1.0,
                "MOIDEarth": 0.1 if orbit else None, "extendednessMax": 0.5 if extended else None}
        for b, n in o["n_obs_by_band"].items():
            row |= {f"{b}_nObs": n, f"{b}_nObsUsed": n, f"{b}_slope_fit_failed": False}
            row[f"{b}_phaseAngleMin"] = 3.0 if n else None
        rows.append(row)
    return pa.Table.from_pylist(rows, pa.schema([(n, ARROW[t]) for n, t in compare.ssobject_types().items()]))


class Files:
    """The right files, and a way to compare a spoilt one."""

    def __init__(self, postgres: Postgres, folder: pathlib.Path):
        self.postgres, self.folder = postgres, folder
        self.right = {name: exported(postgres, name) for name in QUERIES}
        self.parts = [p for p in compare.dia_sources(EXPECTED) if p.num_rows]
        self.right["dia_sources"] = pa.concat_tables(self.parts)
        self.right["ssobject"] = made_up_objects()

    def differences(self, name: str, table: pa.Table, groups: list[int] | None = None) -> list[str]:
        """What compare.py says of a file with this table, in row groups of these sizes."""
        path, start = self.folder / f"{name}.parquet", 0
        if groups is None:
            groups = [p.num_rows for p in self.parts] if name == "dia_sources" else [100] * (table.num_rows // 100 + 1)
        with pq.ParquetWriter(path, table.schema) as writer:
            for size in groups:
                writer.write_table(table.slice(start, size), row_group_size=max(size, 1))
                start += size
        checks = Checks()
        if name in QUERIES:
            compare.compare_export(checks, self.postgres, path, QUERIES[name])
        elif name == "dia_sources":
            compare.compare_dia_sources(checks, path, EXPECTED)
        else:
            compare.compare_ssobject(checks, path, EXPECTED)
        return checks.differences


def cell(column: str, match, change, kind: str | None = None):
    """Spoil the first value of a column that `match` holds for; or, if `kind` is given, the whole column's type."""

    def spoil(table: pa.Table) -> pa.Table:
        k = table.schema.get_field_index(column)
        field, moments = table.schema.field(k), pa.types.is_timestamp(table.schema.field(k).type)
        values = (table[column].cast(pa.int64()) if moments else table[column]).to_pylist()
        place = next(n for n, v in enumerate(values) if match(v))
        values[place] = change(values[place])
        array = pa.array(values, pa.int64() if moments else field.type)
        array = array.cast(field.type) if moments else array
        return table.set_column(k, field, array)

    return spoil


def retyped(column: str, kind: pa.DataType, nullable: bool = True):
    """Give a column another type with the same values."""

    def spoil(table: pa.Table) -> pa.Table:
        k = table.schema.get_field_index(column)
        return table.set_column(k, pa.field(column, kind, nullable), table[column].cast(kind, safe=False))

    return spoil


def through_float(column: str):
    """Round every id of a column to a double and back."""

    def spoil(table: pa.Table) -> pa.Table:
        k = table.schema.get_field_index(column)
        values = pa.array([int(float(v)) for v in table[column].to_pylist()], pa.int64())
        return table.set_column(k, table.schema.field(k), values)

    return spoil


def null(v) -> bool:
    return v is None


def some(v) -> bool:
    return v is not None


def equal(wanted):
    return lambda v: v == wanted


def large(v) -> bool:
    return v is not None and v > 2**53


def without_row(n: int):
    """Leave out one row."""
    return lambda t: pa.concat_tables([t.slice(0, n), t.slice(n + 1)])


def row_twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(5, 1)])


def swapped(table: pa.Table) -> pa.Table:
    """The last two rows change places."""
    n = table.num_rows
    return table.take([*range(n - 2), n - 1, n - 2])


NAN, LIST, DECOMPOSED = math.nan, "identifier_ids", (lambda v: unicodedata.normalize("NFD", v))
# file, what is done to it, how, what the first differences must mention
SPOILT = [
    ("obs_sbn", "changed number", cell("mag", some, lambda v: v + 0.001), "mag where id"),
    ("obs_sbn", "last bit of a number", cell("ra", some, lambda v: math.nextafter(v, 400)), "ra where id"),
    ("obs_sbn", "changed text", cell("obssubid", some, lambda v: v[:-1] + "x"), "obssubid where id"),
    ("obs_sbn", "missing row", without_row(17), "missing: found"),
    ("obs_sbn", "row twice", row_twice, "number of rows"),
    ("obs_sbn", "NULL text made empty", cell("notes", null, lambda v: ""), "notes where id"),
    ("obs_sbn", "empty text made NULL", cell("remarks", equal(""), lambda v: None), "remarks where id"),
    ("obs_sbn", "NULL number made NaN", cell("dist", null, lambda v: NAN), "dist where id"),
    ("obs_sbn", "NULL bool made false", cell("shapeocc", null, lambda v: False), "shapeocc where id"),
    ("obs_sbn", "large integer off by one", cell("healpix", large, lambda v: v + 1), "healpix where id"),
    ("obs_sbn", "large integers through a float", through_float("healpix"), "healpix where id"),
    ("obs_sbn", "id off by one", cell("id", lambda v: True, lambda v: v - 1), "not wanted"),
    ("obs_sbn", "integers as floats", retyped("nucmag", pa.float64()), "type of nucmag"),
    ("obs_sbn", "wider integers", retyped("nucmag", pa.int32()), "type of nucmag"),
    ("obs_sbn", "ids as floats", retyped("id", pa.float64(), False), "type of id"),
    ("obs_sbn", "1 us later", cell("obstime", some, lambda v: v + 1), "obstime where id"),
    ("obs_sbn", "1 us later, with a zone", cell("created_at", some, lambda v: v + 1), "created_at where id"),
    ("obs_sbn", "moments in ns", retyped("obstime", pa.timestamp("ns"), False), "type of obstime"),
    ("obs_sbn", "moments without their zone", retyped("updated_at", pa.timestamp("us"), False), "type of updated_at"),
    ("obs_sbn", "a zone that is not there", retyped("obstime", pa.timestamp("us", "UTC"), False), "type of obstime"),
    ("obs_sbn", "NOT NULL forgotten", retyped("stn", pa.string()), "stn may be NULL"),
    ("obs_sbn", "missing column", lambda t: t.drop_columns(["frq"]), "columns: found"),
    ("obs_sbn", "columns in another order", lambda t: t.select([*t.column_names[1:], "id"]), "columns: found"),
    ("mpc_orbits", "minus zero lost", cell("a1", lambda v: v == 0, abs), "a1 where id"),
    ("mpc_orbits", "NaN made NULL", cell("yarkovsky", lambda v: v is not None and v != v, lambda v: None), "yarkovsky"),
    ("mpc_orbits", "infinity made finite", cell("srp", equal(math.inf), lambda v: 1.7e308), "srp where id"),
    ("mpc_orbits", "denormal made zero", cell("srp", equal(5e-324), lambda v: 0.0), "srp where id"),
    ("mpc_orbits", "single precision", retyped("h", pa.float32()), "type of h"),
    ("current_identifications", "empty list made NULL", cell(LIST, equal([]), lambda v: None), LIST),
    ("current_identifications", "NULL list made empty", cell(LIST, null, lambda v: []), LIST),
    ("current_identifications", "NULL in a list", cell(LIST, equal([None]), lambda v: [""]), LIST),
    ("current_identifications", "lists as text", lambda t: t.set_column(6, LIST, pa.array(
        [None if v is None else str(v) for v in t[LIST].to_pylist()])), "type of identifier_ids"),
    ("numbered_identifications", "letters decomposed", cell("iau_name", equal("Čapek"), DECOMPOSED), "iau_name"),
    ("dia_sources", "id off by one", cell("diaSourceId", large, lambda v: v - 1), "missing: found"),
    ("dia_sources", "ids through a float", through_float("diaSourceId"), "missing: found"),
    ("dia_sources", "missing row", without_row(3), "missing: found"),
    ("dia_sources", "rows in another order", swapped, "order of visits"),
    ("dia_sources", "NULL flux made NaN", cell("psfFlux", null, lambda v: NAN), "psfFlux where"),
    ("dia_sources", "fluxes in double precision", retyped("psfFlux", pa.float64()), "type of psfFlux"),
    ("dia_sources", "flux of another run", cell("psfFlux", some, lambda v: v * 0.85), "psfFlux where"),
    ("ssobject", "NULL made NaN", cell("u_H", null, lambda v: NAN), "NaN in u_H"),
    ("ssobject", "missing object", without_row(2), "number of objects"),
    ("ssobject", "ids not ascending", swapped, "ids, ascending"),
    ("ssobject", "id off by one", cell("ssObjectId", some, lambda v: v + 1), "ids, ascending"),
    ("ssobject", "wrong count", cell("r_nObs", some, lambda v: v + 1), "r_nObs"),
    ("ssobject", "79 columns", lambda t: t.drop_columns(["y_Chi2"]), "columns and types"),
    ("ssobject", "counts in 64 bits", retyped("nObs", pa.int64()), "columns and types"),
]


def main() -> None:
    """Run the checks."""
    # Without -h, so that the value of --dsn-args may begin with it.
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False
    )
    parser.add_argument("--help", action="help", help="show this text")
    parser.add_argument("--dsn-args", required=True, help="arguments with which psql reaches the database")
    postgres = Postgres(shlex.split(parser.parse_args().dsn_args))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        files = Files(postgres, pathlib.Path(folder))
        for name, table in files.right.items():
            found = files.differences(name, table)
            failed += bool(found)
            print(f"{'WRONG' if found else 'ok':6}{name}: right file", *found[:3])
        merged = files.differences("dia_sources", files.right["dia_sources"], [files.right["dia_sources"].num_rows])
        cases = [("dia_sources", "one row group", merged, "rows of each row group")]
        for name, how, spoil, mention in SPOILT:
            cases.append((name, how, files.differences(name, spoil(files.right[name])), mention))
        for name, how, found, mention in cases:
            hits = " ".join(text for text in found if mention in text)
            # What is said of a file's layout has no reader's name; all else, all three must find.
            missed = not hits or (" by " in hits and not all(f" by {r}:" in hits for r in READER_NAMES))
            failed += missed
            print(f"{'MISSED' if missed else 'ok':6} {name}: {how}: {found[0] if found else 'no difference'}"[:200])
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
