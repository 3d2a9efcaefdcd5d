"""Run by dlt's own Python: merge a provider's tickers repeatedly, or a CSV file once.

`tickers URL`: for each line on standard input one load, whose seconds are printed. `csv PATH`: one
load. The DSN is DATABASE_URL; the working folder is dlt's. DLT_FORMAT is a file format, or empty
for dlt's default.
"""

# dlt and what it brings are in no environment of ours.
# mypy: disable-error-code="import-not-found"

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import orjson
from dlt.sources.filesystem import filesystem, read_csv
from dlt.sources.helpers import requests

# dlt cannot load integers beyond 64 bits, but it can load them as floats.
_COLUMNS = {
    name: {"data_type": "double"} for name in ("circulating_supply", "total_supply", "max_supply")
}
_FORMAT = os.environ.get("DLT_FORMAT") or None
_ARROW = "arrow"


def _tickers(url: str) -> Iterator[list[dict[str, Any]]]:
    yield orjson.loads(requests.get(url).content)


def _rows(path: Path) -> Any:  # noqa: ANN401 - dlt's resources have no type here
    if _FORMAT != _ARROW:
        return filesystem(bucket_url=path.parent.as_uri(), file_glob=path.name) | read_csv()
    from pyarrow import csv  # noqa: PLC0415 - its memory is not for who does not use it

    return csv.open_csv(path)


def main(what: str, where: str) -> None:
    """Run the command line."""
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(Path.cwd()),
        destination=dlt.destinations.postgres(credentials=os.environ["DATABASE_URL"]),
        dataset_name="dlt",
    )
    options = {"table_name": "tickers", "write_disposition": "merge", "primary_key": "id"}
    if _FORMAT not in (None, _ARROW):
        options["loader_file_format"] = _FORMAT
    if what == "csv":
        pipeline.run(_rows(Path(where)), **options)
        return
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        started = time.perf_counter()
        pipeline.run(_tickers(where), columns=_COLUMNS, **options)
        sys.stdout.write(f"{time.perf_counter() - started}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
