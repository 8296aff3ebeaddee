#!/usr/bin/env python3
"""Compare the files of a nightly run over the fixture survey with what they were made from.

    python tests/readers/compare.py --data DIR --dsn-args "-h SOCKET -p PORT -U USER -d DBNAME" [--station X05]

DIR holds the outputs of pipelines/daily.yaml. Each is read by pyarrow, DuckDB and Polars:

- obs_sbn, mpc_orbits and the identifications: every cell against what psql says of the same query; numeric as the
  nearest double, floats bit for bit, moments to the microsecond; column types; NOT NULL columns.
- dia_sources: every cell against the datasets' own files in fixtures/survey/butler, ids against expected.json, and a
  row group for each dataset with rows, by visit.
- sssource: the detections and objects of fixtures/survey/sssource.parquet and those that it leaves out on purpose; the
  geometry and predicted positions against its values, which a reference program computed.
- ssobject: names and types of the 80 columns, objects and their counts against expected.json, NULL where nothing is
  known, and no NaN.

Prints `N checks, 0 differences`, or the first 20 differences and exits with 1. Needs
fixtures/requirements-readers.txt, and psql on PATH or in /usr/lib/postgresql. check_compare.py tests this script.
"""

import argparse
import json
import math
import pathlib
import shlex
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from postgres import Postgres
from readers import READERS, from_arrow
from table import Checks, Table

SURVEY = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "survey"
# Columns that the pipeline leaves out.
EXCLUDED = {"mpc_orbits": ["mpc_orb_jsonb"]}
BANDS = "ugrizy"


def exports(station: str) -> dict[str, str]:
    """The query of each exported file, by table."""
    where = {"obs_sbn": f" WHERE stn = '{station}'"}
    computed = {"mpc_orbits": ", mpc_orb_jsonb->'CAR' AS car"}
    names = ["obs_sbn", "mpc_orbits", "current_identifications", "numbered_identifications"]
    return {name: f"SELECT *{computed.get(name, '')} FROM {name}{where.get(name, '')} ORDER BY id" for name in names}


def each_reader(checks: Checks, path: pathlib.Path):
    """(what, reader, table) of a file for each reader that can read it; one that cannot is a difference."""
    for reader in READERS:
        what = f"{path.name} by {type(reader).__name__}"
        try:
            table = reader.table(path)
        except Exception as error:
            checks.same(f"{what}: readable", f"{type(error).__name__}: {error}", None)
            continue
        yield what, reader, table


def compare(checks: Checks, path: pathlib.Path, wanted: Table, key: str) -> None:
    """A file against the whole table that it should be, and look-ups that may use its statistics."""
    keys = sorted(wanted.values[key])
    for what, reader, found in each_reader(checks, path):
        checks.tables(what, found, wanted, key)
        for k in {keys[0], keys[len(keys) // 2], keys[-1]} if key in found.values else ():
            checks.same(f"{what}: rows where {key} = {k}", reader.count(path, key, k), 1)


def compare_export(checks: Checks, postgres: Postgres, path: pathlib.Path, query: str) -> None:
    """An exported file against Postgres."""
    compare(checks, path, postgres.table(query, EXCLUDED.get(path.stem, [])), "id")
    schema = pq.read_schema(path)
    for column in set(postgres.not_null(path.stem)) & set(schema.names):
        checks.same(f"{path.name}: {column} may be NULL", schema.field(column).nullable, False)


def dia_sources(expected: dict) -> list[pa.Table]:
    """The rows of each dataset that obs_sbn names, by visit, from the datasets' own files."""
    butler = expected["butler"]
    ids = pa.array([int(n) for n in expected["filter"]["surviving_ids"]], pa.int64())
    parts = []
    for dataset in sorted(butler["datasets"], key=lambda d: d["visit"]):
        if dataset["run"] not in butler["flattened"]:
            continue
        folder = SURVEY / "butler" / dataset["run"] / butler["dataset_type"]
        (path,) = folder.glob(f"*/*/*/{dataset['visit']}/*.parq")
        table = pq.read_table(path)
        if table.num_rows != dataset["n_rows"]:
            sys.exit(f"{path} has {table.num_rows} rows, expected.json says {dataset['n_rows']}")
        parts.append(table.filter(pc.is_in(table["diaSourceId"], ids)))
    return parts


def compare_dia_sources(checks: Checks, path: pathlib.Path, expected: dict) -> None:
    """The extracted file against the repository's files and expected.json."""
    parts = dia_sources(expected)
    compare(checks, path, from_arrow(pa.concat_tables(parts)), "diaSourceId")
    ids = sorted(int(n) for n in expected["filter"]["surviving_ids"])
    if "diaSourceId" not in pq.read_schema(path).names:
        return
    for what, _, found in each_reader(checks, path):
        have = found.values["diaSourceId"]
        checks.same(f"{what}: number of ids", len(have), expected["filter"]["n_surviving"])
        checks.same(f"{what}: sum of the ids", sum(int(n) for n in have if n is not None), sum(ids))
        checks.same_keys(f"{what}: ids of expected.json", have, ids)
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(k)["diaSourceId"].to_pylist() for k in range(file.num_row_groups)]
    checks.same(f"{path.name}: rows of each row group", [len(g) for g in groups],
                [p.num_rows for p in parts if p.num_rows])
    checks.same(f"{path.name}: ids in the order of visits", [n for g in groups for n in g],
                [n for p in parts for n in p["diaSourceId"].to_pylist()])


# Columns of the pipeline's SSSource and of the survey's, with the largest difference: float32, and for the phase angle the
# motion of the object, which the survey's leaves out.
GEOMETRY = [
    ("eclLambda", "eclipticLambda", 1e-9), ("eclBeta", "eclipticBeta", 1e-9), ("phaseAngle", "phaseAngle", 0.01),
    ("topoRange", "topoRange", 1e-6), ("helioRange", "helioRange", 1e-6),
]


def compare_sssource(checks: Checks, path: pathlib.Path, expected: dict) -> None:
    """The detections, their objects, and where the orbits put them."""
    special, survey = expected["special"], pq.read_table(SURVEY / "sssource.parquet").to_pylist()
    survey = {row["diaSourceId"]: row for row in survey}
    unknown = {int(n) for n in expected["sssource"]["ids_without_object"]}
    wanted = {int(n) for n in expected["filter"]["surviving_ids"]} - {int(n) for n in special["isolated_ids"]}
    no_orbit, incomplete = special["object_without_orbit"], special["object_with_incomplete_orbit"]
    for what, _, found in each_reader(checks, path):
        checks.same(f"{what}: number of columns", len(found.types), 39)
        checks.same_keys(f"{what}: detections", sorted(found.values["diaSourceId"]), sorted(wanted))
        names = list(found.values)
        for cells in zip(*found.values.values(), strict=True):
            row = dict(zip(names, cells, strict=True))
            name, which = row["designation"], f"{what}: {row['diaSourceId']}"
            checks.same(f"{which}: ssObjectId is NULL", row["ssObjectId"] is None, name == no_orbit)
            is_predicted = name not in (no_orbit, incomplete)
            checks.same(f"{which}: ephOffset is small", is_predicted and row["ephOffset"] < 0.5, is_predicted)
            checks.same(f"{which}: ephRa is NULL", row["ephRa"] is None, not is_predicted)
            reference = survey.get(row["diaSourceId"])
            if reference is None or row["diaSourceId"] in unknown:
                continue
            checks.same(f"{which}: designation", name, reference["designation"])
            if name != no_orbit:
                checks.same(f"{which}: ssObjectId", row["ssObjectId"], reference["ssObjectId"])
            for column, other, most in GEOMETRY:
                if is_predicted or column.startswith("ecl"):
                    difference = abs(row[column] - reference[other])
                    checks.same(f"{which}: {column} {row[column]} near {reference[other]}", difference <= most, True)


def ssobject_types() -> dict[str, str]:
    """The columns of SSObject in order, with their types."""
    types = {
        "ssObjectId": "int64", "designation": "string", "nObs": "int32", "arc": "float32",
        "firstObservationMjdTai": "float64", "MOIDEarth": "float32", "MOIDEarthDeltaV": "float32",
        "MOIDEarthEclipticLongitude": "float32", "MOIDEarthTrueAnomaly": "float32",
        "MOIDEarthTrueAnomalyObject": "float32", "tisserand_J": "float32", "extendednessMax": "float32",
        "extendednessMedian": "float32", "extendednessMin": "float32",
    }
    for b in BANDS:
        types |= {f"{b}_nObs": "int32"}
        types |= dict.fromkeys([f"{b}_H", f"{b}_HErr", f"{b}_G12", f"{b}_G12Err", f"{b}_H_{b}_G12_Cov"], "float32")
        types |= {f"{b}_nObsUsed": "int32"}
        types |= dict.fromkeys([f"{b}_Chi2", f"{b}_phaseAngleMin", f"{b}_phaseAngleMax"], "float32")
        types |= {f"{b}_slope_fit_failed": "bool"}
    return types


def compare_ssobject(checks: Checks, path: pathlib.Path, expected: dict) -> None:
    """What expected.json says of the objects, and that the unknown is NULL."""
    wanted = {int(o["ss_object_id"]): o for o in expected["objects"] if o["n_obs"]}
    for what, _, found in each_reader(checks, path):
        checks.same(f"{what}: columns and types", list(found.types.items()), list(ssobject_types().items()))
        checks.same(f"{what}: number of objects", len(found), expected["sssource"]["n_objects"])
        checks.same(f"{what}: ids, ascending", found.values.get("ssObjectId"), sorted(wanted))
        for name, column in found.values.items():
            nan = sum(isinstance(v, float) and math.isnan(v) for v in column)
            checks.same(f"{what}: NaN in {name}", nan, 0)
        names = list(found.values)
        for cells in zip(*found.values.values(), strict=True):
            row = dict(zip(names, cells, strict=True))
            if wanted.keys() >= {row.get("ssObjectId")}:
                compare_object(checks, what, row, wanted[row["ssObjectId"]], expected["special"])


def compare_object(checks: Checks, what: str, row: dict, wanted: dict, special: dict) -> None:
    """One object's counts, and which of its values are NULL."""
    name = wanted["designation"]
    what = f"{what}: {name}"
    checks.same(f"{what}: designation", row.get("designation"), name)
    checks.same(f"{what}: nObs", row.get("nObs"), wanted["n_obs"])
    unknown_orbit = name in (special["object_without_orbit"], special["object_with_incomplete_orbit"])
    checks.same(f"{what}: MOIDEarth is NULL", row.get("MOIDEarth") is None, unknown_orbit)
    without = name == special["object_without_extendedness"]
    checks.same(f"{what}: extendednessMax is NULL", row.get("extendednessMax") is None, without)
    for b in BANDS:
        n_obs = wanted["n_obs_by_band"][b]
        checks.same(f"{what}: {b}_nObs", row.get(f"{b}_nObs"), n_obs)
        checks.same(f"{what}: {b}_phaseAngleMin is NULL", row.get(f"{b}_phaseAngleMin") is None, n_obs == 0)
        if n_obs == 0:
            known = {c: row.get(f"{b}_{c}") for c in ("H", "HErr", "G12", "G12Err", "Chi2")}
            checks.same(f"{what}: known of the empty band {b}", [c for c, v in known.items() if v is not None], [])
            checks.same(f"{what}: {b}_nObsUsed", row.get(f"{b}_nObsUsed"), 0)
            checks.same(f"{what}: {b}_slope_fit_failed", row.get(f"{b}_slope_fit_failed"), False)


def main() -> None:
    """Run the checks."""
    # Without -h, so that the value of --dsn-args may begin with it.
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False
    )
    parser.add_argument("--help", action="help", help="show this text")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the Parquet files")
    parser.add_argument("--dsn-args", required=True, help="arguments with which psql reaches the database")
    parser.add_argument("--station", default="X05", help="the station whose observations were exported")
    options = parser.parse_args()
    postgres = Postgres(shlex.split(options.dsn_args))
    expected = json.loads((SURVEY / "expected.json").read_text(encoding="utf-8"))
    for name in [*exports(options.station), "dia_sources", "sssource", "ssobject"]:
        try:
            pq.read_metadata(options.data / f"{name}.parquet")
        except (OSError, pa.ArrowInvalid) as error:
            sys.exit(f"{name}.parquet: {error}")
    checks = Checks()
    for name, query in exports(options.station).items():
        compare_export(checks, postgres, options.data / f"{name}.parquet", query)
    compare_dia_sources(checks, options.data / "dia_sources.parquet", expected)
    compare_sssource(checks, options.data / "sssource.parquet", expected)
    compare_ssobject(checks, options.data / "ssobject.parquet", expected)
    sys.exit(checks.report())


if __name__ == "__main__":
    main()
