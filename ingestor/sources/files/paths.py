"""Finds the files that CSV_PATH names, and identifies each version of a file."""

import datetime
import glob
import hashlib
import re
from pathlib import Path

import msgspec

from ingestor.sources.errors import SourceRefusedError
from ingestor.sources.files.mapping import FILE_NAME, Mapping, mapping_of

SUFFIXES = (".csv", ".tsv", ".json", ".ndjson", ".jsonl", ".parquet")
COMPRESSIONS = ("", ".gz", ".bz2", ".zst", ".zip")
NAMES = (*(suffix + packing for suffix in SUFFIXES for packing in COMPRESSIONS), ".zip")
"""The endings of the file names that are read in a folder.

If CSV_PATH names a single file, its name may have any ending.
"""
MAX_FILES = 10_000
HEAD_BYTES = 65_536
_DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")


class FileIdentity(msgspec.Struct, frozen=True, array_like=True):
    """Identifies one version of a file, to detect a change.

    `head` is the digest of its first bytes, `mapping` the digest of its settings in `csv.toml`.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    head: str
    mapping: str = ""

    def grew_from(self, before: "FileIdentity") -> bool:
        """Return whether this may be the earlier version with bytes appended."""
        same = (self.device, self.inode, self.mapping) == (
            before.device,
            before.inode,
            before.mapping,
        )
        return (
            same
            and self.size > before.size
            and (before.size < HEAD_BYTES or self.head == before.head)
        )


class CsvFile(msgspec.Struct, frozen=True):
    """A file, and its group: its path below the folder that CSV_PATH names.

    `real` is the path without links; None if links lead out of that folder, and the file must not
    be read.
    """

    group: str
    path: Path
    identity: FileIdentity
    mapping: Mapping
    real: Path | None

    def observed_at(self, modified_ns: int) -> datetime.datetime:
        """Return the time of rows without one: the last date in the file's name or `modified_ns`.

        `modified_ns` is the newest modification time of all versions of the file, so that the rows
        of the present version are the newest.
        """
        for text in reversed(_DATE.findall(self.path.name)):
            try:
                return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
            except ValueError:
                continue
        return datetime.datetime.fromtimestamp(modified_ns / 1e9, datetime.UTC)


def find_files(csv_path: str) -> list[CsvFile]:
    """Return the files of a path, a folder or a glob, sorted; a folder may be empty.

    Raises SourceRefusedError if a path or a glob matches no file.
    """
    try:
        root, paths = _resolve(csv_path)
        if not paths and not Path(csv_path).is_dir():
            raise SourceRefusedError(
                f"CSV_PATH {csv_path}: no such file; it must be a file, a folder of *.csv, "
                "*.json, *.parquet and the like, or a glob"
            )
        if len(paths) > MAX_FILES:
            raise SourceRefusedError(
                f"CSV_PATH {csv_path}: {len(paths):,} files are more than {MAX_FILES:,}"
            )
        # If CSV_PATH names a file, that file may be a link to any other.
        inside = None if paths == [Path(csv_path)] else root.resolve()
        files = (_file(path, path.relative_to(root).as_posix(), inside) for path in paths)
        return [file for file in files if file is not None]
    except OSError as error:
        raise SourceRefusedError(
            f"CSV_PATH {error.filename or csv_path}: {error.strerror}"
        ) from None


def _resolve(csv_path: str) -> tuple[Path, list[Path]]:
    path = Path(csv_path)
    if path.is_dir():
        inside = (entry for entry in path.iterdir() if entry.name.lower().endswith(NAMES))
        return path, sorted(entry for entry in inside if _is_data(entry))
    if path.is_file():
        return path.parent, [path]
    if not glob.has_magic(csv_path):
        return path, []
    root = path.parent
    while glob.has_magic(str(root)):
        root = root.parent
    return root, sorted(
        entry for entry in root.glob(str(path.relative_to(root))) if _is_data(entry)
    )


def _is_data(entry: Path) -> bool:
    """Return whether a file may be data: not hidden, not macOS's `._` file, not `csv.toml`."""
    return not entry.name.startswith(".") and entry.name != FILE_NAME and entry.is_file()


def _file(path: Path, group: str, inside: Path | None) -> CsvFile | None:
    """Return a file, which must be `inside` that folder, if any; None if it was just removed.

    A link in the folder must not publish any other file of this machine.
    """
    real = path.resolve()
    if inside is not None and not real.is_relative_to(inside):
        return CsvFile(group, path, FileIdentity(0, 0, 0, 0, ""), Mapping(), None)
    mapping = mapping_of(path)
    identity = identify(real, mapping)
    return None if identity is None else CsvFile(group, path, identity, mapping, real)


def identify(path: Path, mapping: Mapping) -> FileIdentity | None:
    """Return the identity of a file's version; None for a file that was just removed.

    A file without permission to read has an identity too, so that reading fails for this file only.
    """
    try:
        status = path.stat()
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        return None
    except PermissionError:
        head = b""
    digest = hashlib.blake2b(head, digest_size=16).hexdigest()
    return FileIdentity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, digest, mapping.digest
    )
