"""Opens a file as a table of its format."""

from pathlib import Path

import msgspec

from ingestor.sources.files.mapping import Mapping
from ingestor.sources.files.tables.csv_table import CsvTable
from ingestor.sources.files.tables.json_table import JsonTable
from ingestor.sources.files.tables.parquet_table import ParquetTable
from ingestor.sources.files.tables.streams import open_stream
from ingestor.sources.files.tables.table import Table

__all__ = ["open_table"]


def open_table(path: Path, real: Path, mapping: Mapping) -> Table:
    """Open the file `real` as a table. Raises SourceError, with `path`, if it is not a table."""
    stream = open_stream(path, mapping.encoding, real)
    try:
        if stream.form == "parquet":
            table: Table = ParquetTable(path, stream)
        elif stream.form == "json":
            table = JsonTable(path, stream)
        else:
            table = CsvTable(path, stream, mapping)
        table.form = msgspec.structs.replace(
            table.form, packed=stream.packed, encoding=stream.encoding
        )
    except BaseException:
        stream.close()
        raise
    return table
