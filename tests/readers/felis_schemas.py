"""What lsst-felis reads of Felis schemas (the files of lsst-sdm-schemas), as JSON.

Usage: felis_schemas.py [UNIT...]. Adds which units of all files and of the arguments astropy takes for the same.
"""

import importlib.util
import json
import logging
import pathlib
import sys
import warnings

import astropy.units
import felis.datamodel

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

folder = pathlib.Path(importlib.util.find_spec("lsst.sdm.schemas").origin).parent
files = {}
# Felis itself does not take the files in `archive`.
for path in sorted(folder.glob("*.yaml")):
    schema = felis.datamodel.Schema.from_uri(str(path), context={"id_generation": True})
    files[str(path)] = [
        [
            table.name,
            [
                [column.name, str(column.datatype), column.length, column.nullable, column.fits_tunit or column.ivoa_unit or None]
                for column in table.columns
            ],
        ]
        for table in schema.tables
    ]
units = {column[4] for tables in files.values() for _, columns in tables for column in columns if column[4]}
units = sorted(units | set(sys.argv[1:]))
read = {unit: astropy.units.Unit(unit, parse_strict="silent") for unit in units}
same = [[one, other] for one in units for other in units if one < other and read[one] == read[other]]
json.dump({"files": files, "units": units, "same": same}, sys.stdout)
