"""A table as plain Python values, and how two of them differ."""

import math
import struct
from collections import Counter
from dataclasses import dataclass

SHOWN = 20


@dataclass
class Table:
    """Column names in order with their types (in the words of schemas/*.yaml), and their values.

    Moments are microseconds since 1970 as integers; NULL is None.
    """

    types: dict[str, str]
    values: dict[str, list]

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), []))


class Checks:
    """Counts the checks and keeps what differs."""

    def __init__(self):
        self.done, self.differences = 0, []

    def same(self, what: str, found, wanted) -> None:
        """`found` must be `wanted`: the same type, floats bit for bit."""
        self.done += 1
        if not identical(found, wanted):
            self.differences.append(f"{what}: found {found!r:.200}, wanted {wanted!r:.200}")

    def tables(self, what: str, found: Table, wanted: Table, key: str) -> None:
        """Every cell of the two; rows belong together by the column `key`, in any order."""
        self.same(f"{what}: columns", list(found.types), list(wanted.types))
        self.same(f"{what}: number of rows", len(found), len(wanted))
        for name in found.types.keys() & wanted.types.keys():
            self.same(f"{what}: type of {name}", found.types[name], wanted.types[name])
        if key not in found.values:
            return
        self.same_keys(f"{what}: {key}", found.values[key], wanted.values[key])
        row_of = {k: n for n, k in enumerate(found.values[key])}
        pairs = [(k, row_of[k], n) for n, k in enumerate(wanted.values[key]) if k in row_of]
        for name in [n for n in wanted.values if n in found.values]:
            have, want = found.values[name], wanted.values[name]
            for k, i, j in pairs:
                self.same(f"{what}: {name} where {key} = {k}", have[i], want[j])

    def same_keys(self, what: str, found: list, wanted: list) -> None:
        """The same ids, each as often."""
        found, wanted = Counter(found), Counter(wanted)
        self.same(f"{what}: missing", sorted((wanted - found).elements())[:SHOWN], [])
        self.same(f"{what}: not wanted", sorted(map(str, (found - wanted).elements()))[:SHOWN], [])

    def report(self) -> int:
        """Print the outcome; the exit code."""
        for difference in self.differences[:SHOWN]:
            print(difference)
        if len(self.differences) > SHOWN:
            print(f"and {len(self.differences) - SHOWN} more")
        print(f"{self.done} checks, {len(self.differences)} differences")
        return 1 if self.differences else 0


def identical(a, b) -> bool:
    """Equal and of one type; any NaN is any other, 0.0 is not -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(identical, a, b))
    return a == b
