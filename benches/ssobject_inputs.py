#!/usr/bin/env python3
"""Make inputs of build-ssobject of any size: SSSource, DiaSource and mpc_orbits as Parquet.

    benches/ssobject_inputs.py --objects 297747 --orbits 1600000 --out FOLDER

The same arguments give the same rows. A real full build was reported to have 297,747 objects, 8 M observations and 1.6 M
orbits; as many observations per object are made here (27 on average, with a long tail). What is rare in reality is in too:
fluxes that are not positive, NULL extendedness, bands with a single point, narrow spans of phase angles, outliers, objects
without an orbit, hyperbolic orbits, detections that are of no object. Only SSSource is grouped by object. With --parts each
table is a folder of that number of files, made one after the other, so that the machine need not hold all.
"""
import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BANDS = np.array(["u", "g", "r", "i", "z", "y"])
BAND_SHARES = [0.03, 0.15, 0.28, 0.28, 0.18, 0.08]
COLOURS = np.array([1.6, 0.5, 0.0, -0.15, -0.2, -0.2])
EPOCH_MJD = 61000.0
# What DiaSource has beyond the detections of objects, as a share of them.
OTHERS = 1 / 3


def designations(first, count):
    """Distinct texts of the form of provisional designations."""
    return np.array([f"{1995 + k % 31} {chr(65 + k % 24)}{chr(65 + k // 24 % 25)}{k // 600}" for k in range(first, first + count)])


def packed_id(number):
    """The ssObjectId of a designation that is packed in seven characters."""
    return int.from_bytes(f" K{number:06x}".encode(), "little")


def sightings(rng, objects):
    """Where Sun, Earth and object stood: one entry per observation, grouped by object."""
    counts = np.clip(rng.lognormal(2.7, 1.1, objects), 1, 3000).astype(int)
    of = np.repeat(np.arange(objects), counts)
    share = rng.random(len(of))
    distance = rng.uniform(1.3, 4.5, objects)
    span = np.where(rng.random(objects) < 0.3, rng.uniform(0.05, 1.9, objects), rng.uniform(3, 25, objects))
    middle = rng.uniform(0.3, 22, objects)
    start, arc = rng.uniform(60800, 60900, objects), rng.uniform(0.02, 300, objects)
    return {
        "object": of,
        "share": share,
        "mjd": (start[of] + arc[of] * share),
        "phase": np.abs(middle[of] + span[of] * (share - 0.5)).astype(np.float32),
        "helio": (distance[of] * (1 + 0.03 * np.sin(7 * share))).astype(np.float32),
        "topo": (np.maximum(0.3, distance - 0.9)[of] * (1 + 0.1 * np.cos(5 * share))).astype(np.float32),
    }


def fluxes(rng, seen, objects):
    """Band, flux [nJy] and its error of each observation, with noise, outliers and bad values."""
    count = len(seen["object"])
    h, slope = rng.uniform(12, 21, objects)[seen["object"]], rng.uniform(-0.1, 1.1, objects)[seen["object"]]
    band = rng.choice(len(BANDS), count, p=BAND_SHARES)
    # Not HG12, but a curve of its kind.
    dimming = 0.03 * seen["phase"] + (0.25 - 0.1 * slope) * np.log1p(seen["phase"])
    mag = h + COLOURS[band] + 5 * np.log10(seen["helio"].astype(float) * seen["topo"]) + dimming
    sigma = np.clip(0.1 * 10 ** (0.35 * (mag - 24.0)), 0.003, 0.8)
    mag += rng.normal(0, 1, count) * np.hypot(sigma, 0.03)
    mag += (rng.random(count) < 0.005) * rng.normal(0, 3, count)
    flux = 10 ** ((31.4 - mag) / 2.5)
    error = flux * sigma / 1.085736
    flux = np.where(rng.random(count) < 0.001, -0.1 * flux, flux)
    return band, flux.astype(np.float32), error.astype(np.float32)


def dia_source(rng, seen, dia_ids, band, flux, error, first_other):
    """All detections in no order, those of objects and others."""
    count = len(dia_ids)
    others = int(count * OTHERS)
    order = rng.permutation(count + others)

    def all_rows(values):
        return np.concatenate([values, values[:others]])[order]

    ids = np.concatenate([dia_ids, first_other + np.arange(others)])[order]
    return pa.table({
        "diaSourceId": ids.astype(np.uint64),
        "visit": (all_rows(seen["mjd"]) * 1000).astype(np.int64),
        "detector": (ids % 189).astype(np.int16),
        "ra": 360 * all_rows(seen["share"]),
        "dec": 60 * all_rows(seen["share"]) - 60,
        "midpointMjdTai": all_rows(seen["mjd"]),
        "band": BANDS[all_rows(band)],
        "psfFlux": all_rows(flux),
        "psfFluxErr": all_rows(error),
        "extendedness": pa.array(rng.beta(0.3, 3, count + others).astype(np.float32), mask=rng.random(count + others) < 0.01),
    })


def orbits(rng, names, left_out):
    """Orbits in no order; a few are hyperbolic, a few come near the Earth."""
    count = len(names)
    hyperbolic = rng.random(count) < 0.0005
    e = np.where(hyperbolic, rng.uniform(1.0005, 3.5, count), rng.beta(1.2, 6, count))
    q = np.where(rng.random(count) < 0.02, rng.uniform(0.1, 1.3, count), rng.uniform(1.5, 4.5, count))
    rows = rng.permutation(np.setdiff1d(np.arange(count), left_out))
    columns = {
        "unpacked_primary_provisional_designation": names,
        "q": q,
        "e": e,
        "i": np.degrees(np.arccos(1 - rng.beta(1, 40, count))),
        "node": rng.uniform(0, 360, count),
        "argperi": rng.uniform(0, 360, count),
        "epoch_mjd": np.full(count, EPOCH_MJD),
        "h": rng.uniform(12, 22, count),
    }
    return pa.table({name: values[rows] for name, values in columns.items()})


def make_part(part, objects, orbit_count, seed):
    """The three tables of one part."""
    rng = np.random.default_rng([seed, part])
    names = designations(part * orbit_count, orbit_count)
    numbers = rng.permutation(orbit_count)[:objects]
    ids = np.array([packed_id(part * orbit_count + number) for number in numbers], dtype=np.int64)
    seen = sightings(rng, objects)
    count = len(seen["object"])
    dia_ids = 600_000_000_000_000_000 + part * 10**13 + rng.permutation(3 * count)[:count].astype(np.int64)
    order = np.argsort(ids[seen["object"]], kind="stable")
    of = seen["object"][order]
    sssource = pa.table({
        "diaSourceId": dia_ids[order],
        "ssObjectId": ids[of],
        "designation": names[numbers][of],
        "phaseAngle": seen["phase"][order],
        "topoRange": seen["topo"][order],
        "helioRange": seen["helio"][order],
    })
    band, flux, error = fluxes(rng, seen, objects)
    measured = dia_source(rng, seen, dia_ids, band, flux, error, 900_000_000_000_000_000 + part * 10**13)
    # One object in 500 has no orbit.
    return {"sssource": sssource, "dia_sources": measured, "mpc_orbits": orbits(rng, names, numbers[::500])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=3000)
    parser.add_argument("--orbits", type=int, help="rows of mpc_orbits (default: twice as many as objects)")
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    all_orbits = options.orbits or 2 * options.objects
    rows = {}
    for part in range(options.parts):
        tables = make_part(part, options.objects // options.parts, all_orbits // options.parts, options.seed)
        for name, table in tables.items():
            folder = options.out / name
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, folder / f"part-{part:04d}.parquet", compression="zstd", row_group_size=1_000_000)
            rows[name] = rows.get(name, 0) + table.num_rows
    print(", ".join(f"{name}: {count} rows" for name, count in rows.items()))


if __name__ == "__main__":
    main()
