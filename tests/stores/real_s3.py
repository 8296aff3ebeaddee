#!/usr/bin/env python3
"""Puts a table into a repository whose files are in S3, and prints what the real Butler reads from there.

    real_s3.py REPO NEW_RUN COLLECTION

Copies one dataset of COLLECTION into NEW_RUN, under names that the Butler chooses. Prints JSON: for both collections the
diaSourceIds of all datasets that can be read, sorted. Needs fixtures/requirements-butler.txt.
"""

import json
import sys

from lsst.daf.butler import Butler


def main(repo: str, new_run: str, collection: str) -> None:
    butler = Butler(repo, writeable=True)
    refs = sorted(butler.registry.queryDatasets("dia_source_visit", collections=collection))
    butler.registry.registerRun(new_run)
    butler.put(butler.get(refs[0]), "dia_source_visit", refs[0].dataId, run=new_run)
    found = {}
    for name in (collection, new_run):
        ids = []
        for ref in set(butler.registry.queryDatasets("dia_source_visit", collections=name)):
            ids.extend(int(number) for number in butler.get(ref)["diaSourceId"])
        found[name] = sorted(ids)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
