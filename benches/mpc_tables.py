#!/usr/bin/env python3
"""Write the SQL that makes an MPC-like database, for benchmarks and load tests (from the project's material).

The four tables have the column names, types and NULL habits of the MPC's
replicated Postgres tables that a nightly Rubin run exports. The values are
made up, but repeat exactly for the same --scale.

    ./mpc_tables.py --scale 1.0 | psql -v ON_ERROR_STOP=1 -d mpc_sbn

--scale 1.0 makes 1,000,000 obs_sbn rows (half of them stn='X05'), 300,000
mpc_orbits rows with a ~1.5 kB jsonb each, 400,000 current_identifications
and 170,000 numbered_identifications; and photometry, not an MPC table:
5,000,000 narrow rows of numbers.
"""
import argparse

OBS_SBN = """id int4, trksub text, trkid text, obsid text, submission_id text, submission_block_id text,
obs80 text, status char(1), ref text, healpix int8, permid text, provid text, artsat text, mode text, stn text,
trx text, rcv text, sys text, ctr int4, pos1 numeric, pos2 numeric, pos3 numeric, poscov11 numeric,
poscov12 numeric, poscov13 numeric, poscov22 numeric, poscov23 numeric, poscov33 numeric, prog text,
obstime timestamp(6), ra numeric, dec numeric, rastar numeric, decstar numeric, obscenter text, deltara numeric,
deltadec numeric, dist numeric, pa numeric, rmsra numeric, rmsdec numeric, rmsdist numeric, rmspa numeric,
rmscorr numeric, delay numeric, rmsdelay numeric, doppler numeric, rmsdoppler numeric, astcat text, mag numeric,
rmsmag numeric, band text, photcat text, photap numeric, nucmag int2, logsnr numeric, seeing numeric, exp numeric,
rmsfit numeric, com int2, frq numeric, disc char(1), subfrm text, subfmt text, prectime int4, precra numeric,
precdec numeric, unctime numeric, notes text, remarks text, deprecated char(1), localuse text, nstars int4,
prev_desig text, prev_ref text, rmstime numeric, created_at timestamptz(6), updated_at timestamptz(6), trkmpc text,
orbit_id text, designation_asterisk bool, all_pub_ref text, shapeocc bool, obssubid text, replacesobsid text,
group_id text"""

MPC_ORBITS = """id int4, packed_primary_provisional_designation text, unpacked_primary_provisional_designation text,
mpc_orb_jsonb jsonb, created_at timestamp(6), updated_at timestamp(6), orbit_type_int int4, u_param int4, nopp int4,
arc_length_total float8, arc_length_sel float8, nobs_total int4, nobs_total_sel int4, a float8, q float8, e float8,
i float8, node float8, argperi float8, peri_time float8, yarkovsky float8, srp float8, a1 float8, a2 float8,
a3 float8, dt float8, mean_anomaly float8, period float8, mean_motion float8, a_unc float8, q_unc float8,
e_unc float8, i_unc float8, node_unc float8, argperi_unc float8, peri_time_unc float8, yarkovsky_unc float8,
srp_unc float8, a1_unc float8, a2_unc float8, a3_unc float8, dt_unc float8, mean_anomaly_unc float8,
period_unc float8, mean_motion_unc float8, epoch_mjd float8, h float8, g float8, not_normalized_rms float8,
normalized_rms float8, earth_moid float8, fitting_datetime timestamp(6)"""

CURRENT = """id int4, packed_primary_provisional_designation text, packed_secondary_provisional_designation text,
unpacked_primary_provisional_designation text, unpacked_secondary_provisional_designation text, published int4,
identifier_ids text[], object_type int4, numbered bool, created_at timestamp(6), updated_at timestamp(6)"""

NUMBERED = """id int4, packed_primary_provisional_designation text, unpacked_primary_provisional_designation text,
permid text, iau_designation text, iau_name text, numbered_publication_references text[],
named_publication_references text[], naming_credit text, created_at timestamp(6), updated_at timestamp(6)"""

PHOTOMETRY = """dia_source_id int8, ss_object_id int8, detector int2, ra float8, dec float8, mjd float8, flux float4,
flux_err float4, band text, t timestamptz(6), flag bool"""

# A repeatable number in [0, 1) from the row number g and a salt.
U = "((hashint8extended(g::int8, {s}) & 2147483647) / 2147483648.0::float8)"


def u(salt):
    return U.format(s=salt)


def create(name, columns, rows, values):
    """The SQL that makes a table from the row numbers g, or from those of a query; a column without a value is NULL."""
    cells = ", ".join(f'({values.get(n, "NULL")})::{t} AS {n}' for n, t in typed(columns))
    return f"CREATE TABLE {name} AS SELECT {cells} FROM {rows};\n"


def typed(columns):
    """Name and type of each column."""
    return [column.strip().split(" ", 1) for column in columns.replace("\n", " ").split(", ")]


def tables(s):
    """Name, columns, rows, and the values of those columns that are not NULL, of each table at the scale s."""
    n_orb = max(1, int(300_000 * s))
    desig = f"(1990 + (g % {n_orb}) % 35) || ' ' || chr(65 + (g % {n_orb}) % 24) || chr(65 + (g % {n_orb}) / 24 % 25) || (g % {n_orb}) / 600"
    packed = f"'K' || lpad(((g % {n_orb}) % 100)::text, 2, '0') || chr(65 + (g % {n_orb}) % 24) || lpad(to_hex(g % {n_orb}), 5, '0')"
    yield "obs_sbn", OBS_SBN, int(1_000_000 * s), dict(
        id="g", trksub="'Tk' || lpad(to_hex(g / 4), 6, '0')", trkid="'00000' || upper(to_hex(g / 4 + 99999999))",
        obsid="'L' || upper(to_hex(g::int8 * 7919 + 4000000000))",
        submission_id="'2025-06-' || lpad((g / 50000 % 28 + 1)::text, 2, '0') || 'T00:00:00.000_0000' || chr(65 + (g % 20)::int)",
        submission_block_id="'2025-06-01T00:00:00.000_0000' || chr(65 + (g % 20)::int) || '_01'",
        obs80="rpad('     ' || substr(md5(g::text), 1, 7) || '  C2025 06 ' || lpad((g % 28 + 1)::text, 2, '0') || '.12345 12 34 56.789-12 34 56.78', 75) || 'X05'",
        status="CASE WHEN g % 50 = 0 THEN 'I' ELSE 'P' END", ref="'MPEC 2025-M' || (g % 90 + 10)", healpix=f"hashint8extended(g::int8, 1) & 1152921504606846975",
        permid=f"CASE WHEN g % 3 = 0 THEN ((g % {n_orb}) + 1)::text END", provid=f"CASE WHEN g % 7 <> 0 THEN {desig} END",
        mode="'CCD'", stn="CASE WHEN g % 2 = 0 THEN 'X05' ELSE 'F51' END",
        obstime="timestamp '2025-06-01' + g * interval '317 milliseconds' + (g % 1000) * interval '1 microsecond'",
        ra=f"round((360 * {u(11)})::numeric, 7)", dec=f"round((-90 + 120 * {u(12)})::numeric, 7)",
        rmsra=f"round((0.02 + 0.3 * {u(13)})::numeric, 4)", rmsdec=f"round((0.02 + 0.3 * {u(14)})::numeric, 4)",
        rmscorr=f"round((-0.5 + {u(15)})::numeric, 4)", astcat="'Gaia2'", mag=f"round((18 + 7 * {u(16)})::numeric, 3)",
        rmsmag=f"round((0.01 + 0.2 * {u(17)})::numeric, 3)", band="substr('ugrizy', (g % 6 + 1)::int, 1)", photcat="'Gaia2'",
        logsnr=f"round((1 + 2 * {u(18)})::numeric, 4)", seeing=f"round((0.6 + {u(19)})::numeric, 3)", exp="30", frq="NULL",
        disc="CASE WHEN g % 500 = 0 THEN '*' END", subfrm="'ICRF'", subfmt="'A17'", precra="0.000001", precdec="0.000001",
        notes="CASE WHEN g % 100 = 0 THEN 'streak, \"quoted\"' END", remarks="CASE WHEN g % 1000 = 0 THEN E'line one\\nline two' WHEN g % 1000 = 1 THEN '' END",
        created_at="timestamptz '2025-06-02 00:00:00+00' + g * interval '1 millisecond'", updated_at="timestamptz '2025-06-03 00:00:00+00' + g * interval '1 millisecond'",
        designation_asterisk="g % 400 = 0", obssubid="(9007199254740993 + g::int8 * 13)::text", trkmpc="'X' || to_hex(g / 4)")
    element = {k: f"{lo} + {hi - lo} * {u(n)}" for n, (k, lo, hi) in enumerate(
        [("e", 0.0, 0.35), ("i", 0.0, 30.0), ("node", 0.0, 360.0), ("argperi", 0.0, 360.0), ("mean_anomaly", 0.0, 360.0),
         ("h", 14.0, 23.0), ("arc_length_total", 1.0, 9000.0), ("not_normalized_rms", 0.1, 0.9), ("normalized_rms", 0.1, 0.9)], 30)}
    values = dict(element, id="g", packed_primary_provisional_designation=packed, unpacked_primary_provisional_designation=desig,
                  mpc_orb_jsonb="jsonb_build_object('COM', jsonb_build_object('coefficient_values', (SELECT jsonb_agg(sin(g * 13.0 + k)) FROM generate_series(1, 27) k)), "
                                "'CAR', jsonb_build_object('coefficient_values', (SELECT jsonb_agg(cos(g * 17.0 + k)) FROM generate_series(1, 27) k)), 'designation_data', jsonb_build_object('permid', g))",
                  created_at="timestamp '2024-01-01' + g * interval '1 second'", updated_at="timestamp '2025-01-01' + g * interval '1 second'",
                  orbit_type_int="g % 11", u_param="g % 10", nopp="g % 12 + 1", arc_length_sel=element["arc_length_total"], nobs_total="g % 900 + 3",
                  nobs_total_sel="g % 900 + 3", a=f"0.8 + 3 * {u(50)}", q=f"(0.8 + 3 * {u(50)}) * (1 - ({element['e']}))",
                  peri_time=f"60000 + 2000 * {u(51)}", period=f"400 + 2000 * {u(52)}", mean_motion=f"0.1 + {u(53)}", epoch_mjd="61000.0", g="0.15",
                  earth_moid=f"{u(54)}", fitting_datetime="timestamp '2025-05-01' + g * interval '1 second'")
    values.update({f"{k}_unc": f"1e-7 * {u(60 + n)}" for n, k in enumerate("a q e i node argperi peri_time mean_anomaly period mean_motion".split())})
    yield "mpc_orbits", MPC_ORBITS, n_orb, values
    yield "current_identifications", CURRENT, int(400_000 * s), dict(
        id="g", packed_primary_provisional_designation=packed, packed_secondary_provisional_designation=packed,
        unpacked_primary_provisional_designation=desig, unpacked_secondary_provisional_designation=desig, published="1",
        identifier_ids="ARRAY['id' || g, 'x,\"y\"']", object_type="0", numbered="g % 3 = 0", created_at="timestamp '2024-01-01'", updated_at="timestamp '2025-01-01'")
    yield "numbered_identifications", NUMBERED, int(170_000 * s), dict(
        id="g", packed_primary_provisional_designation=packed, unpacked_primary_provisional_designation=desig, permid="g::text",
        iau_name="CASE WHEN g % 40 = 0 THEN 'Name' || g END", numbered_publication_references="ARRAY['MPC ' || g]",
        created_at="timestamp '2024-01-01'", updated_at="timestamp '2025-01-01'")
    yield "photometry", PHOTOMETRY, int(5_000_000 * s), dict(
        dia_source_id="g", ss_object_id="g::int8 * 7919", detector="g % 189", ra="sin(g) * 180", dec="cos(g) * 90", mjd="60000 + g * 1e-5",
        flux="1000 * exp(sin(g * 0.37))", flux_err="10 * exp(cos(g * 0.11))", band="substr('ugrizy', (g % 6 + 1)::int, 1)",
        t="timestamptz '2025-01-01' + g * interval '30 ms'", flag="g % 2 = 0")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--scale", type=float, default=1.0)
    print("SET synchronous_commit = off;")
    for name, columns, rows, values in tables(p.parse_args().scale):
        print(f"DROP TABLE IF EXISTS {name} CASCADE;")
        print(create(name, columns, f"generate_series(1, {rows}) AS g", values), f"ANALYZE {name};", sep="")


if __name__ == "__main__":
    main()
