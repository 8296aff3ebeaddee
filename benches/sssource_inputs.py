#!/usr/bin/env python3
"""Make inputs of build-sssource of any size, as Parquet.

    benches/sssource_inputs.py --objects 297747 --orbits 1580000 --out FOLDER [--wide] [--json car|full] [--parts N]
                              [--nights 350 --visits-a-night 60]

The same arguments give the same rows. The files are obs_sbn, dia_sources, mpc_orbits, current_identifications and
numbered_identifications, each NAME.parquet; with --parts N a folder NAME of N files. They have the columns that
build-sssource reads. --wide adds the measurements of DiaSource, 101 columns; --json adds mpc_orbits.mpc_orb_jsonb, some 5 kB
a row (`full`), or its block CAR alone in the column `car`.

Each object has 27 observations on average, in pairs of one night, in 21,000 visits over 1.5 years (350 nights of 60). The classes: 97.6 % main
belt and Trojans, 2.4 % near-Earth objects, and among them 1 in 2,000 TNOs and 1 in 2,000 comets, half of these with e >= 1.
Epochs of orbits: 80 % at the middle of the survey; 12 % within 200 days of it, at two other common epochs; 5 % 1 to 5 years
before it, 2 % 5 to 15 years, 1 % 15 to 25 years; 2 in 10,000 before 2000. These shares are a guess.

Positions are two-body, from the centre of the Earth, with 30 mas of noise: they are some arcseconds or minutes from what
build-sssource computes, and say something of its speed only. What is rare is in too, at these rates: provid NULL with permid
2 % of numbered objects, a secondary designation 3 %, six decimals 11 %, obssubid with a label 10 %, white space around it
0.1 %, the two ends of a trail 1 % of near-Earth rows, a repeated submission 0.5 %, status I 0.2 %, no DiaSource 0.3 %, no
orbit 0.2 % of objects.
"""
import argparse
import json
from pathlib import Path

import erfa
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

GAUSS_K = 0.01720209895
C_AU_D = 173.1446326846693
OBLIQUITY = np.radians(84381.448 / 3600)
START_MJD, DAYS = 60796, 548
MIDDLE_MJD = 61070.0
TAI_MINUS_UTC_S = 37
NOISE_DEG = 30e-3 / 3600
ROWS_A_GROUP = 500_000
BANDS = np.array(["u", "g", "r", "i", "z", "y"])
BAND_SHARES = [0.03, 0.15, 0.28, 0.28, 0.18, 0.08]
HALVES, ORDER = "ABCDEFGHJKLMNOPQRSTUVWXY", "ABCDEFGHJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# What DiaSource has beyond ids, places and times; the rest of the wide table's columns come from other tables.
FLOATS = """exposureTime raErr decErr ra_dec_Cov x xErr y yErr apFlux apFluxErr ap03Flux ap03FluxErr ap06Flux ap06FluxErr
    ap25Flux ap25FluxErr snr psfFlux psfFluxErr psfLnL psfChi2 trailFlux trailFluxErr trailRaErr trailDecErr trailLength
    trailLengthErr trailAngle trailAngleErr trailChi2 dipoleMeanFlux dipoleMeanFluxErr dipoleFluxDiff dipoleFluxDiffErr
    dipoleLength dipoleAngle dipoleChi2 scienceFlux scienceFluxErr templateFlux templateFluxErr ixx iyy ixy ixxPSF iyyPSF
    ixyPSF extendedness reliability""".split()
FLAGS = """centroid_flag apFlux_flag apFlux_flag_apertureTruncated ap03Flux_flag ap03Flux_flag_apertureTruncated ap06Flux_flag
    ap06Flux_flag_apertureTruncated ap25Flux_flag ap25Flux_flag_apertureTruncated isNegative psfFlux_flag psfFlux_flag_edge
    psfFlux_flag_noGoodPixels trail_flag_edge trail_flag forced_PsfFlux_flag forced_PsfFlux_flag_edge
    forced_PsfFlux_flag_noGoodPixels shape_flag shape_flag_no_pixels shape_flag_not_contained shape_flag_parent_source
    isDipole dipoleFitAttempted pixelFlags pixelFlags_bad pixelFlags_cr pixelFlags_crCenter pixelFlags_edge pixelFlags_nodata
    pixelFlags_nodataCenter pixelFlags_interpolated pixelFlags_interpolatedCenter pixelFlags_offimage pixelFlags_saturated
    pixelFlags_saturatedCenter pixelFlags_suspect pixelFlags_suspectCenter pixelFlags_streak pixelFlags_streakCenter
    pixelFlags_injected pixelFlags_injectedCenter pixelFlags_injected_template pixelFlags_injected_templateCenter
    glint_trail""".split()
COUNTS = "psfNdata trailNdata trailAlgorithm dipoleNdata bboxSize".split()


def designation(k):
    """The unpacked and the packed form of the provisional designation number k, of at most 11.5 M."""
    year, half, order, cycle = 1995 + k % 31, HALVES[k // 31 % 24], ORDER[k // 744 % 25], k // 18600
    packed = f"{'J' if year < 2000 else 'K'}{year % 100:02d}{half}{DIGITS[cycle // 10]}{cycle % 10}{order}"
    return f"{year} {half}{order}{cycle or ''}", packed


def comet_designation(k):
    """The same of the comet number k."""
    year, half, number = 1995 + k % 31, HALVES[k // 31 % 24], k // 744 + 1
    return f"C/{year} {half}{number}", f"C{'J' if year < 2000 else 'K'}{year % 100:02d}{half}{number:02d}0"


def make_orbits(rng, count):
    """Elements of all orbits, names, and which are near-Earth objects."""
    kind = rng.choice(["mb", "trojan", "neo", "tno", "comet"], count, p=[0.955, 0.02, 0.024, 0.0005, 0.0005])
    ranges = {"mb": (2.1, 3.3), "trojan": (5.1, 5.3), "neo": (0.9, 2.8), "tno": (37, 48), "comet": (0.4, 5)}
    low, high = (np.vectorize({name: ends[n] for name, ends in ranges.items()}.get)(kind) for n in (0, 1))
    size = rng.uniform(low, high)
    e = rng.beta(1.8, 11, count)
    near = kind == "neo"
    e[near] = np.maximum(rng.uniform(0.05, 0.7, near.sum()), 1 - 1.28 / size[near])
    comet = kind == "comet"
    e[comet] = rng.choice([0.7, 0.999, 1.0, 1.0003, 3.36], comet.sum(), p=[0.3, 0.2, 0.3, 0.15, 0.05])
    q = np.where(comet, size, size * (1 - e))
    epoch = np.full(count, MIDDLE_MJD)
    draw = rng.random(count)
    for share, below, years in [(0.20, 0.08, None), (0.08, 0.03, (1, 5)), (0.03, 0.01, (5, 15)), (0.01, 0.0002, (15, 25))]:
        some = (draw < share) & (draw >= below)
        moved = MIDDLE_MJD + rng.choice([-200, 200], some.sum()) if years is None else \
            np.floor(MIDDLE_MJD - 365.25 * rng.uniform(*years, some.sum()))
        epoch[some] = moved
    epoch[draw < 0.0002] = np.floor(rng.uniform(45000, 51000, (draw < 0.0002).sum()))
    a = q / np.abs(1 - np.where(e == 1, 0.9, e))
    period = 2 * np.pi / (GAUSS_K * a**1.5)
    peri_time = epoch + np.where(comet, rng.uniform(-400, 400, count), (rng.random(count) - 0.5) * period)
    number = np.cumsum(comet)
    names = [comet_designation(number[k]) if comet[k] else designation(k) for k in range(count)]
    return {
        "unpacked": np.array([n[0] for n in names]), "packed": np.array([n[1] for n in names]), "q": q, "e": e,
        "i": np.degrees(np.arccos(1 - rng.beta(1, 40, count))), "node": rng.uniform(0, 360, count),
        "argperi": rng.uniform(0, 360, count), "peri_time": peri_time, "epoch_mjd": epoch,
        "h": np.where(near, rng.uniform(17, 26, count), np.where(kind == "tno", 7, rng.uniform(13, 20, count))),
        "near": near, "comet": comet,
    }


def kepler(anomaly, e):
    """cos E and sin E of an ellipse, or cosh and sinh of a hyperbola, by Newton steps."""
    open_orbit = e > 1
    start = np.where(open_orbit, np.arcsinh(anomaly / e), anomaly + np.where(anomaly < 0, -0.85, 0.85) * e)
    x = start
    for _ in range(50):
        sine, cosine = np.where(open_orbit, np.sinh(x), np.sin(x)), np.where(open_orbit, np.cosh(x), np.cos(x))
        step = np.where(open_orbit, e * sine - x - anomaly, x - e * sine - anomaly)
        step /= np.where(open_orbit, e * cosine - 1, 1 - e * cosine)
        step = np.clip(step, -1, 1)
        x = x - step
        if np.abs(step).max() < 1e-11:
            break
    return np.where(open_orbit, np.cosh(x), np.cos(x)), np.where(open_orbit, np.sinh(x), np.sin(x))


def two_body(orbits, of, mjd, velocity=False):
    """Heliocentric ecliptic positions [n, 3], with velocities [n, 6], of the orbits numbered `of`."""
    # A parabola as an ellipse that is nearly one.
    e = np.where(np.abs(orbits["e"][of] - 1) < 1e-6, 1 - 1e-6, orbits["e"][of])
    q = orbits["q"][of]
    a = q / np.abs(1 - e)
    motion = GAUSS_K / a**1.5
    anomaly = motion * (mjd - orbits["peri_time"][of])
    anomaly = np.where(e < 1, np.remainder(anomaly + np.pi, 2 * np.pi) - np.pi, anomaly)
    cosine, sine = kepler(anomaly, e)
    sign, b = np.where(e < 1, 1, -1), a * np.sqrt(np.abs(1 - e * e))
    x, y = sign * a * (cosine - e), b * sine
    cw, cn, ci = (np.cos(np.radians(orbits[n][of])) for n in ("argperi", "node", "i"))
    sw, sn, si = (np.sin(np.radians(orbits[n][of])) for n in ("argperi", "node", "i"))
    along = np.stack([cn * cw - sn * sw * ci, sn * cw + cn * sw * ci, sw * si], axis=1)
    across = np.stack([-cn * sw - sn * cw * ci, -sn * sw + cn * cw * ci, cw * si], axis=1)
    place = x[:, None] * along + y[:, None] * across
    if not velocity:
        return place
    rate = motion / (sign * (1 - e * cosine))
    return np.hstack([place, (-a * sine * rate)[:, None] * along + (b * cosine * rate)[:, None] * across])


def observe(rng, options, orbits):
    """Object, visit, time and place of every detection, by visit; and the visits."""
    objects, a_night = options.objects, options.visits_a_night
    nights = np.sort(rng.choice(DAYS, options.nights, replace=False))
    start = nights[:, None] + 1 + rng.uniform(0.0, 0.05, (len(nights), 1)) + np.arange(a_night) * 0.3 / a_night
    visit_mjd = START_MJD + start.ravel()
    earth = -erfa.epv00(2400000.5, visit_mjd + 69.184 / 86400)[0]["p"]
    pairs = np.clip(rng.lognormal(2.11, 1.0, objects), 1, 150).round().astype(int)
    of = np.repeat(np.arange(objects, dtype=np.int32), 2 * pairs)
    first = rng.integers(0, len(nights), len(of) // 2) * a_night + rng.integers(0, a_night - 8, len(of) // 2)
    visit = np.stack([first, first + rng.integers(4, 8, len(first))], axis=1).ravel().astype(np.int32)
    # An object is in a visit at most once.
    _, kept = np.unique(visit.astype(np.int64) * objects + of, return_index=True)
    of, visit = of[kept], visit[kept]
    mjd = visit_mjd[visit] + rng.uniform(-0.12, 0.12, len(of)) / 86400
    ra, dec, distance = (np.empty(len(of)) for _ in range(3))
    c, s = np.cos(OBLIQUITY), np.sin(OBLIQUITY)
    for k in range(0, len(of), ROWS_A_GROUP):
        part = slice(k, k + ROWS_A_GROUP)
        delay = 0.0
        for _ in range(2):
            v = two_body(orbits, of[part], mjd[part] + 69.184 / 86400 - delay)
            topo = np.stack([v[:, 0], c * v[:, 1] - s * v[:, 2], s * v[:, 1] + c * v[:, 2]], axis=1) + earth[visit[part]]
            range_au = np.linalg.norm(topo, axis=1)
            delay = range_au / C_AU_D
        dec[part] = np.degrees(np.arcsin(topo[:, 2] / range_au)) + rng.normal(0, NOISE_DEG, len(topo))
        across = NOISE_DEG / np.cos(np.radians(dec[part]))
        ra[part] = np.remainder(np.degrees(np.arctan2(topo[:, 1], topo[:, 0])) + rng.normal(0, 1, len(topo)) * across, 360)
        distance[part] = range_au * np.linalg.norm(v, axis=1)
    # The day, the visit's number, the detector and a counter, as the pipelines pack them.
    counter = np.arange(len(of)) - np.searchsorted(visit, visit) + 1
    detector = (counter % 189).astype(np.int16)
    night, number = nights[visit // a_night].astype(np.int64), visit % a_night
    ids = (((night + 5590) * 32768 + number) * 256 + detector) * 2**24 + counter
    dates = np.datetime64("1858-11-17") + (START_MJD + night)
    year, month = dates.astype("M8[Y]").astype(int) + 1970, dates.astype("M8[M]").astype(int) % 12 + 1
    day = (dates - dates.astype("M8[M]")).astype(int) + 1
    band = rng.choice(6, len(visit_mjd), p=BAND_SHARES).astype(np.int8)[visit]
    return {
        "of": of, "mjd": mjd, "ra": ra, "dec": dec, "diaSourceId": ids, "detector": detector, "band": band,
        "visit": (year * 10000 + month * 100 + day) * 100_000 + number, "night": night,
        "mag": (orbits["h"][of] + 5 * np.log10(distance) + 0.3).astype(np.float32),
    }


class Table:
    """One table, as a file or a folder of parts; rows come in pieces."""

    def __init__(self, options, name, total):
        self.folder, self.name, self.parts, self.total = options.out, name, options.parts, total
        self.rows, self.part, self.writer = 0, -1, None

    def write(self, table):
        """Append some rows; a part ends between two pieces."""
        part = min(self.parts - 1, self.rows * self.parts // max(1, self.total))
        if self.writer is None or part != self.part:
            self.close()
            path = self.folder / f"{self.name}.parquet"
            if self.parts > 1:
                path = self.folder / self.name / f"part-{part:04d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.part, self.writer = part, pq.ParquetWriter(path, table.schema, compression="zstd")
        self.writer.write_table(table, row_group_size=ROWS_A_GROUP)
        self.rows += table.num_rows

    def close(self):
        """Close the last file."""
        if self.writer:
            self.writer.close()
            self.writer = None


def pieces(count, options):
    """Slices of some rows each."""
    step = max(1, min(ROWS_A_GROUP, count // options.parts))
    return [slice(k, min(k + step, count)) for k in range(0, count, step)]


def text(numbers):
    """Integers as text."""
    return pc.cast(pa.array(numbers), pa.string())


def joined(*parts):
    """Texts one after the other, without anything between them."""
    return pc.binary_join_element_wise(*parts, "")


def some(rng, count, share):
    """True with that probability."""
    return rng.random(count) < share


def write_dia_sources(rng, options, seen, kept):
    """All detections that obs_sbn names, but a few, by id."""
    out = Table(options, "dia_sources", len(kept))
    for part in pieces(len(kept), options):
        rows = kept[part]
        columns = {
            "diaSourceId": seen["diaSourceId"][rows], "midpointMjdTai": seen["mjd"][rows], "ra": seen["ra"][rows],
            "dec": seen["dec"][rows],
        }
        if options.wide:
            columns |= measurements(rng, seen, rows)
        out.write(pa.table(columns))
    out.close()
    return out.rows


def measurements(rng, seen, rows):
    """The other columns of DiaSource: noise of the right size and type."""
    count = len(rows)
    flux = (10 ** ((31.4 - seen["mag"][rows]) / 2.5)).astype(np.float32)
    columns = {
        "visit": seen["visit"][rows], "detector": seen["detector"][rows], "band": BANDS[seen["band"][rows]],
        "parentDiaSourceId": np.zeros(count, np.int64),
        "trailRa": pa.array(seen["ra"][rows] + 1e-7, mask=some(rng, count, 0.9)),
        "trailDec": pa.array(seen["dec"][rows] + 1e-7, mask=some(rng, count, 0.9)),
        "reliabilityVersion": pa.array(["v1.0"] * count),
    }
    for name in FLOATS:
        values = rng.standard_normal(count, dtype=np.float32)
        if "Flux" in name:
            values = flux * (np.float32(0.05) * np.abs(values) if name.endswith("Err") else 1 + np.float32(0.1) * values)
        never_null = name in ("psfFlux", "psfFluxErr")
        columns[name] = values if never_null else pa.array(values, mask=some(rng, count, 0.02))
    columns |= {name: some(rng, count, 0.01) for name in FLAGS}
    columns |= {name: rng.integers(0, 2000, count, dtype=np.int32) for name in COUNTS}
    return columns


def write_obs_sbn(rng, options, seen, orbits, names):
    """One row a detection, with repeated submissions and trails as two rows; by night, and shuffled within it."""
    count = len(seen["of"])
    trailed = orbits["near"][seen["of"]] & some(rng, count, 0.01)
    again = np.flatnonzero(some(rng, count, 0.005) & ~trailed)
    total = count + len(again) + trailed.sum()
    out, done, mixed = Table(options, "obs_sbn", total), 0, rng.permutation(2**16)
    for part in pieces(count, options):
        single = np.arange(part.start, part.stop)
        twice = again[(again >= part.start) & (again < part.stop)]
        second = single[trailed[part]]
        rows = np.concatenate([single, twice, second])
        kind = np.repeat([0, 1, 2], [len(single), len(twice), len(second)])
        order = np.lexsort((mixed[rows % 2**16], seen["night"][rows]))
        out.write(observations(rng, seen, names, rows[order], kind[order], trailed, done))
        done += len(rows)
    out.close()
    return out.rows


def observations(rng, seen, names, rows, kind, trailed, done):
    """Rows of obs_sbn. `kind` is 0 for the first row of a detection, 1 for a repeated one, 2 for the end of a trail."""
    count, of = len(rows), seen["of"][rows]
    end = np.where(kind == 2, 1, np.where(trailed[rows], -1, 0))
    ra, dec = np.remainder(seen["ra"][rows] + end * 1e-4, 360), seen["dec"][rows] + end * 5e-5
    coarse = some(rng, count, 0.11) & (end == 0)
    microseconds = np.round((seen["mjd"][rows] - 40587) * 86400e6).astype(np.int64) - TAI_MINUS_UTC_S * 10**6
    ids = text(seen["diaSourceId"][rows])
    labelled, spaced = some(rng, count, 0.1), some(rng, count, 0.001)
    ids = pc.if_else(labelled, joined("LSST-DP2-", ids), ids)
    # The ends of a trail always have a label.
    ends = joined("LSST-AP-", text(seen["diaSourceId"][rows]), np.where(end == 1, "-B", "-A").tolist())
    ids = pc.if_else(spaced, joined(" ", ids, " "), ids)
    ids = pc.if_else(end != 0, ends, ids)
    serial = done + np.arange(count, dtype=np.int64)
    tracklet = text(seen["night"][rows] * 10**6 + of)
    permid = names["permid"].take(pa.array(of))
    by_number = some(rng, count, 0.02)
    provid = pc.if_else(some(rng, count, 0.03), names["secondary"].take(pa.array(of)), names["primary"].take(pa.array(of)))
    provid = pc.if_else(pc.and_(pa.array(by_number), pc.is_valid(permid)), pa.scalar(None, pa.string()), provid)
    mjd = START_MJD + seen["night"][rows] + np.where(kind == 1, 40, 1)
    day = pa.array(np.datetime_as_string(np.datetime64("1858-11-17") + mjd))
    return pa.table({
        "obsid": joined("L", pc.utf8_lpad(text(serial), 9, "0")),
        "obssubid": ids,
        "trksub": joined("T", pc.utf8_slice_codeunits(pc.utf8_lpad(tracklet, 9, "0"), 2)),
        "trkid": joined("00000", tracklet),
        "submission_id": joined(day, "T14:00:00.000_0000Ab"),
        "status": pa.array(np.where(some(rng, count, 0.002), "I", "P")),
        "permid": permid,
        "provid": provid,
        "stn": pa.array(["X05"] * count),
        "obstime": pa.array(microseconds + end * 15 * 10**6, pa.timestamp("us")),
        "ra": np.where(coarse, np.round(ra, 6), np.round(ra, 9)),
        "dec": np.where(coarse, np.round(dec, 6), np.round(dec, 9)),
        "mag": np.round(seen["mag"][rows].astype(float), 3),
        "band": pa.array(np.char.add("L", BANDS)).take(pa.array(seen["band"][rows])),
    })


def names_of(rng, orbits, objects):
    """The primary and a secondary designation and the number of each orbit, as Arrow texts."""
    count = len(orbits["q"])
    primary = pa.array(orbits["unpacked"])
    # 15 % have a second name, from the numbers that no orbit has; observations of the others have the primary one.
    has = some(rng, count, 0.15)
    other = [designation(count + k)[0] if two else None for k, two in enumerate(has)]
    secondary = pc.coalesce(pa.array(other, pa.string()), primary)
    numbered = some(rng, count, 0.55) & ~orbits["comet"]
    permid = pa.array(np.cumsum(numbered).astype(str), mask=~numbered)
    return {"primary": primary, "secondary": secondary, "has_secondary": has, "permid": permid, "numbered": numbered}


def write_identifications(options, orbits, names):
    """Every primary maps to itself, the secondary ones to theirs; the numbers to their objects."""
    rows = np.concatenate([np.arange(len(orbits["q"])), np.flatnonzero(names["has_secondary"])])
    first = np.arange(len(rows)) < len(orbits["q"])
    order = np.argsort(rows, kind="stable")
    rows, first = pa.array(rows[order]), first[order]
    current = pa.table({
        "packed_primary_provisional_designation": pa.array(orbits["packed"]).take(rows),
        "unpacked_primary_provisional_designation": names["primary"].take(rows),
        "unpacked_secondary_provisional_designation":
            pc.if_else(first, names["primary"].take(rows), names["secondary"].take(rows)),
    })
    numbered = pa.array(np.flatnonzero(names["numbered"]))
    numbers = pa.table({
        "permid": names["permid"].take(numbered),
        "unpacked_primary_provisional_designation": names["primary"].take(numbered),
    })
    for name, table in (("current_identifications", current), ("numbered_identifications", numbers)):
        out = Table(options, name, table.num_rows)
        for part in pieces(table.num_rows, options):
            out.write(table.slice(part.start, part.stop - part.start))
        out.close()
    return current.num_rows, numbers.num_rows


def write_orbits(rng, options, orbits, objects):
    """Every orbit but those of one object in 500, in no order."""
    rows = rng.permutation(np.setdiff1d(np.arange(len(orbits["q"])), np.arange(0, objects, 500)))
    out = Table(options, "mpc_orbits", len(rows))
    step = 20_000 if options.json else ROWS_A_GROUP
    for part in pieces(len(rows), options):
        for k in range(part.start, part.stop, step):
            some_rows = rows[k : min(k + step, part.stop)]
            columns = {
                "packed_primary_provisional_designation": orbits["packed"][some_rows],
                "unpacked_primary_provisional_designation": orbits["unpacked"][some_rows],
                **{n: orbits[n][some_rows] for n in ("q", "e", "i", "node", "argperi", "peri_time", "epoch_mjd", "h")},
                "g": pa.array(np.full(len(some_rows), 0.15), mask=rng.random(len(some_rows)) < 0.5),
            }
            if options.json:
                columns["car" if options.json == "car" else "mpc_orb_jsonb"] = documents(rng, options, orbits, some_rows)
            out.write(pa.table(columns))
    out.close()
    return out.rows


def documents(rng, options, orbits, rows):
    """MPC_ORB documents of about 5 kB, or the block CAR of each: as text."""
    states = two_body(orbits, rows, orbits["epoch_mjd"][rows], velocity=True)
    sigma = 10 ** rng.uniform(-8.5, -6.5, (len(rows), 1)) * np.array([1, 1, 1, 0.01, 0.01, 0.01])
    factors = rng.normal(size=(len(rows), 6, 2))
    matrices = (factors @ factors.transpose(0, 2, 1) + 0.05 * np.eye(6)) * sigma[:, :, None] * sigma[:, None, :]
    k, j = np.triu_indices(6)
    spare = [(r, c) for r in range(10) for c in range(r, 10) if c > 5]
    car = (
        '{"covariance": {' + ", ".join(f'"cov{r}{c}": %.9g' for r, c in zip(k, j)) + ", "
        + ", ".join(f'"cov{r}{c}": null' for r, c in spare)
        + '}, "coefficient_names": ["x", "y", "z", "vx", "vy", "vz"%s], "coefficient_values": [%.17g, %.17g, %.17g, %.17g,'
        + " %.17g, %.17g%s]}"
    )
    before, after = surroundings() if options.json == "full" else ("", "")
    # 1 object in 3,000 has a Yarkovsky term, half of the comets A1 and A2.
    extra = np.where(orbits["comet"][rows], rng.integers(0, 2, len(rows)), 2 * (rng.random(len(rows)) < 1 / 3000))
    more = [("", ""), (', "A1", "A2"', ", 1.2e-08, -3.1e-10"), (', "yarkovski"', ", -0.00031")]
    texts = []
    for covariance, state, kind in zip(matrices[:, k, j].tolist(), states.tolist(), extra.tolist()):
        texts.append(before + car % (*covariance, more[kind][0], *state, more[kind][1]) + after)
    return pa.array(texts, pa.large_string())


def surroundings():
    """What is before and after the block CAR in a document; the same in each, which compresses better than the real ones."""
    names = ["q", "e", "i", "node", "argperi", "peri_time"]
    com = {"coefficient_names": names, "coefficient_values": [2.3, 0.1, 10, 20, 30, 61000.5],
           "covariance": {f"cov{k}{j}": None if max(j, k) > 5 else 1.2345678901234e-13 for k in range(10) for j in range(k, 10)}}
    padding = {f"statistics_{k}": {"nobs": 117, "rms": 0.5183, "arc": "2003-2026", "text": "x" * 40} for k in range(16)}
    return '{"CAR": ', ', "COM": ' + json.dumps(com) + ', "orbit_fit": ' + json.dumps(padding) + "}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--orbits", type=int, help="rows of mpc_orbits (default: five times as many as objects)")
    parser.add_argument("--nights", type=int, default=350)
    parser.add_argument("--visits-a-night", type=int, default=60, help="more than 8")
    parser.add_argument("--wide", action="store_true", help="all columns of DiaSource")
    parser.add_argument("--json", nargs="?", const="full", choices=["full", "car"], help="the documents of mpc_orbits")
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    def rng(topic):
        return np.random.default_rng([options.seed, *topic.encode()])

    orbits = make_orbits(rng("orbits"), options.orbits or 5 * options.objects)
    names = names_of(rng("names"), orbits, options.objects)
    seen = observe(rng("observe"), options, orbits)
    kept = np.flatnonzero(~some(rng("kept"), len(seen["of"]), 0.003))
    counts = {
        "obs_sbn": write_obs_sbn(rng("obs_sbn"), options, seen, orbits, names),
        "dia_sources": write_dia_sources(rng("dia_sources"), options, seen, kept),
        "mpc_orbits": write_orbits(rng("mpc_orbits"), options, orbits, options.objects),
    }
    counts["current_identifications"], counts["numbered_identifications"] = write_identifications(options, orbits, names)
    print(", ".join(f"{name}: {count} rows" for name, count in counts.items()))


if __name__ == "__main__":
    main()
