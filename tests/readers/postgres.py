"""What Postgres itself says of a query, by way of psql."""

import datetime
import glob
import json
import os
import shutil
import subprocess
import sys

from table import Table

# format_type() of Postgres without its modifier -> our name of the type.
TYPES = {
    "boolean": "bool", "smallint": "int16", "integer": "int32", "bigint": "int64", "real": "float32",
    "double precision": "float64", "numeric": "float64", "text": "string", "character": "string",
    "character varying": "string", "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamp_utc", "jsonb": "string", "text[]": "list<string>",
}
SESSION = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 1;\n"
# What the text format of COPY writes for a character after a backslash.
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def find_psql() -> str:
    """The path of psql: on PATH, else Debian's newest."""
    debian = glob.glob("/usr/lib/postgresql/*/bin/psql")
    newest = max(debian, key=lambda path: int(path.split("/")[4]), default=None)
    return shutil.which("psql") or newest or sys.exit("psql is not on PATH: install postgresql-client")


class Postgres:
    """A database, reached with the given arguments of psql."""

    def __init__(self, arguments: list[str]):
        self.command = [find_psql(), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", *arguments]

    def lines(self, statement: str) -> list[str]:
        """The lines that psql prints; text that COPY writes has no newline within a row."""
        environment = os.environ | {"PGCLIENTENCODING": "UTF8"}
        text = (SESSION + statement + "\n").encode()
        done = subprocess.run(self.command, input=text, capture_output=True, env=environment)
        if done.returncode:
            sys.exit(f"psql failed on `{statement}`: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode().split("\n")[:-1]

    def not_null(self, table: str) -> list[str]:
        """The columns of a table that are declared NOT NULL."""
        return self.lines(
            f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND attnotnull;"
        )

    def table(self, query: str, exclude: list[str]) -> Table:
        """The rows of a query, without some columns."""
        described = [line.split("\t") for line in self.lines(f"{query} \\gdesc")]
        names = {name: plain(kind) for name, kind in described if name not in exclude}
        if unknown := {n: t for n, t in names.items() if t not in TYPES}:
            sys.exit(f"no rule for these columns: {unknown}")
        types = {name: TYPES[kind] for name, kind in names.items()}
        terms = [f'array_to_json("{n}")' if t == "list<string>" else f'"{n}"' for n, t in types.items()]
        copied = self.lines(f"COPY (SELECT {', '.join(terms)} FROM ({query}) this_query) TO STDOUT;")
        rows = [[unescaped(field) for field in line.split("\t")] for line in copied]
        values = {
            name: [None if row[k] is None else value(row[k], kind) for row in rows]
            for k, (name, kind) in enumerate(types.items())
        }
        return Table(types, values)


def plain(kind: str) -> str:
    """`timestamp(6) with time zone` without `(6)`."""
    before, _, rest = kind.partition("(")
    return before + rest.partition(")")[2]


def unescaped(field: str) -> str | None:
    """A field of COPY's text format."""
    if field == "\\N":
        return None
    first, *rest = field.split("\\")
    text, rest = first, iter(rest)
    for part in rest:
        # An empty part stands between the two backslashes that mean one.
        text += ESCAPES[part[0]] + part[1:] if part else "\\" + next(rest)
    return text


def value(text: str, kind: str):
    """A value from Postgres' text of it. A moment that Python does not know stays text."""
    if kind == "bool":
        return {"t": True, "f": False}[text]
    if kind.startswith("int"):
        return int(text)
    if kind.startswith("float"):
        return float(text)
    if kind == "list<string>":
        return json.loads(text)
    return microseconds(text) if kind.startswith("timestamp") else text


def microseconds(text: str) -> int | str:
    """Microseconds from 1970 to a moment."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=moment.tzinfo)) // datetime.timedelta(microseconds=1)
