#!/usr/bin/env python3
"""Time ASSIST's integrator, which build-sssource is compared with: microseconds per object and year, on one core.

    benches/ephemeris_assist.py [--orbits fixtures/ephemeris/orbits.parquet] [--years 1] [--repeat 3]

Needs the packages of fixtures/requirements-survey.txt. Each orbit is integrated from its epoch as far as --years reaches on
both sides of the middle of the survey; an old epoch therefore means more years for each object, and the figure is per year.
IAS15 runs with the reference's settings (adaptive_mode 2, epsilon 1e-13). The best of --repeat counts. Reading the orbits and
making the starting states are not part of it, nor are light time and dense output.
"""
import argparse
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures/ephemeris"
sys.path.insert(0, str(FIXTURES))

from check_reference import elements  # noqa: E402
from reference import J2000_MJD, Path as Motion  # noqa: E402

MIDDLE_MJD = 61200.0
GROUPS = {
    "main belt": ["mb", "hilda", "trojan"], "NEO": ["neo", "survey", "yarkovsky"], "old epochs": ["mb_old"],
    "encounter": ["encounter_earth", "encounter_venus", "encounter_mars", "encounter_jupiter"],
    "comet": ["comet_ng", "hyperbolic"], "distant": ["centaur", "tno"],
}


def integrate(orbit, years):
    """Seconds, years and steps from the epoch to both ends of the span, or to the far one if it lies outside."""
    seconds = covered = steps = 0
    epoch = orbit.epoch_mjd
    ends = [MIDDLE_MJD - 365.25 * years, MIDDLE_MJD + 365.25 * years]
    if not ends[0] < epoch < ends[1]:
        ends = [max(ends, key=lambda end: abs(end - epoch))]
    for end in ends:
        motion = Motion(orbit)
        begin = time.perf_counter()
        motion.sim.integrate(end - J2000_MJD)
        seconds += time.perf_counter() - begin
        covered += abs(end - epoch) / 365.25
        steps += motion.sim.steps_done
    return seconds, covered, steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orbits", type=Path, default=FIXTURES / "orbits.parquet")
    parser.add_argument("--years", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    rows = pq.read_table(options.orbits).to_pylist()
    print(f"{'class':12} {'objects':>7} {'years':>8} {'us/year':>9} {'steps/year':>11}")
    for group, classes in GROUPS.items():
        orbits = [elements(row) for row in rows if row["cls"] in classes]
        if not orbits:
            continue
        runs = [[integrate(orbit, options.years) for orbit in orbits] for _ in range(options.repeat)]
        best = min(sum(seconds for seconds, *_ in run) for run in runs)
        covered, steps = sum(r[1] for r in runs[0]), sum(r[2] for r in runs[0])
        print(f"{group:12} {len(orbits):7} {covered:8.1f} {1e6 * best / covered:9.0f} {steps / covered:11.1f}", flush=True)


if __name__ == "__main__":
    main()
