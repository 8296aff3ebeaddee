#!/usr/bin/env python3
"""Make the table of the Earth's rotation that the program contains: UT1 - TAI and the pole, every 5 days from 2000.

    pip install astropy-iers-data==0.2026.11.2.0.34.55
    ./make_earth_rotation.py        # writes earth_rotation.csv beside this script

Source: IERS Bulletin A (finals2000A), which ends with a year of predictions. UT1 - TAI has no jumps at leap seconds.
"""
import importlib.util
from pathlib import Path

STEP = 5
FIRST_MJD = 51540


def leap_seconds(folder):
    """(first MJD, TAI - UTC in s), in order."""
    lines = (folder / "Leap_Second.dat").read_text().splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [(float(row[0]), float(row[4])) for row in rows]


def daily(folder):
    """By MJD: UT1 - TAI [s], and the pole's x and y [arcsec]."""
    leaps = leap_seconds(folder)
    table = {}
    for line in (folder / "finals2000A.all").read_text().splitlines():
        mjd, x, y, ut1_minus_utc = (line[a:b].strip() for a, b in [(7, 15), (18, 27), (37, 46), (58, 68)])
        if ut1_minus_utc and float(mjd) >= FIRST_MJD:
            offset = [seconds for first, seconds in leaps if first <= float(mjd)][-1]
            table[int(float(mjd))] = (float(ut1_minus_utc) - offset, float(x), float(y))
    return table


def worst(table, kept, column):
    """The largest error of linear interpolation between the rows that are kept."""
    errors = []
    for low in kept[:-1]:
        first, last = table[low][column], table[low + STEP][column]
        errors += [abs(table[low + k][column] - first - (last - first) * k / STEP) for k in range(STEP)]
    return max(errors)


def main():
    table = daily(Path(importlib.util.find_spec("astropy_iers_data").origin).parent / "data")
    kept = [mjd for mjd in table if (mjd - FIRST_MJD) % STEP == 0]
    rows = ["{},{:.4f},{:.3f},{:.3f}\n".format(mjd, *table[mjd]) for mjd in kept]
    out = Path(__file__).with_name("earth_rotation.csv")
    out.write_text("mjd_utc,ut1_minus_tai_s,pole_x_arcsec,pole_y_arcsec\n" + "".join(rows))
    print(f"{len(kept)} rows to MJD {kept[-1]}; linear between them, wrong by at most", end=" ")
    print("{:.4f} s, {:.4f} and {:.4f} arcsec".format(*(worst(table, kept, column) for column in range(3))))


if __name__ == "__main__":
    main()
