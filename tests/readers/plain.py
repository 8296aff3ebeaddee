"""Files that are to be plain: their encodings, and each column as fastparquet and as pyarrow read it.

Usage: plain.py FILE...
"""

import sys

import fastparquet
import pyarrow.parquet as pq

PLAIN = {"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"}


def known(value):
    """None for what pandas has for an unknown value."""
    return None if value is None or value != value else value


for name in sys.argv[1:]:
    wanted = pq.read_table(name)
    metadata = pq.ParquetFile(name).metadata
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            assert set(chunk.encodings) <= PLAIN, (name, chunk.path_in_schema, chunk.encodings)
    found = fastparquet.ParquetFile(name).to_pandas()
    assert list(found.columns) == wanted.column_names, list(found.columns)
    for column in wanted.column_names:
        theirs = [known(value) for value in found[column].tolist()]
        # As pandas has moments, so that they compare.
        ours = [known(value) for value in wanted[column].to_pandas(date_as_object=False).tolist()]
        assert theirs == ours, (name, column, [pair for pair in zip(theirs, ours) if pair[0] != pair[1]][:3])
    print(f"{name}: {wanted.num_rows} rows of {wanted.num_columns} columns")
