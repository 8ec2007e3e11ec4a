"""A backup: a folder of dumps and artifacts under a manifest, which is written last. Without one it is no backup."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from churn.errors import BackupDamaged
from churn.file_tree import FileTree, blocks_of, fingerprint_of
from churn.records import StoredFile, as_json, from_json

MANIFEST = "manifest.json"
NAME = re.compile(r"churn-\d{8}T\d{6}Z", re.ASCII)
ARTIFACTS = "artifacts/"
ANOTHER = "Nothing was changed. Restore from another backup."


@dataclass(frozen=True)
class StoredDatabase:
    """The dump of one database: its file, the comment on the database, and the rows of each table."""

    file: str
    comment: str | None
    server_version: int
    row_counts: dict[str, int]


@dataclass(frozen=True)
class Manifest:
    """What a backup holds, and of what it is. `files` names every file of it with digest and size."""

    backup_id: str
    created_at: datetime
    product_version: str
    schema_revision: str
    databases: dict[str, StoredDatabase]
    model_versions: tuple[int, ...]
    files: dict[str, StoredFile]
    digest: str = ""

    @property
    def byte_count(self) -> int:
        """The size of the whole."""
        return sum(file.size for file in self.files.values())

    @property
    def artifacts(self) -> dict[str, StoredFile]:
        """The artifacts, by their path below the artifact root."""
        return {name.removeprefix(ARTIFACTS): file for name, file in self.files.items() if name.startswith(ARTIFACTS)}


def write_manifest(backup: FileTree, manifest: Manifest) -> None:
    """Make a backup of what was written: at once, as the last of its files."""
    sealed = replace(manifest, digest=_digest(manifest))
    backup.write(MANIFEST, [json.dumps(as_json(sealed), indent=1).encode()])


def read_manifest(backup: FileTree) -> Manifest:
    """The manifest of a backup. Raises BackupDamaged where there is none, or it is not what was written."""
    try:
        manifest = from_json(Manifest, json.loads(backup.read(MANIFEST)))
    except FileNotFoundError as error:
        inside = backups_in(backup)
        named = f"Name one of those inside: {', '.join(inside)}." if inside else ANOTHER
        raise BackupDamaged(f"{backup.url} holds no {MANIFEST}: it is no complete backup.", named) from error
    except ValueError as error:
        raise BackupDamaged(f"{MANIFEST} of {backup.url} cannot be read.", ANOTHER) from error
    if manifest.digest != _digest(manifest):
        raise BackupDamaged(f"{MANIFEST} of {backup.url} was changed after it was written.", ANOTHER)
    return manifest


def verify(backup: FileTree, manifest: Manifest, folder: Path) -> dict[str, Path]:
    """Hold every file against the manifest; return where the dump of each database lies on this machine.

    Dumps on S3 are fetched into `folder` while they are read. Raises BackupDamaged naming the files that are
    missing or changed.
    """
    dumps = {stored.file: folder / f"{name}.dump" for name, stored in manifest.databases.items()}
    wrong = []
    for name, stored in manifest.files.items():
        try:
            if name in dumps and backup.local_path(name) is None:
                found = FileTree(str(folder)).write(dumps[name].name, backup.blocks(name))
            else:
                found = backup.fingerprint(name)
        except FileNotFoundError:
            wrong.append(f"{name} (missing)")
            continue
        if found != stored:
            wrong.append(f"{name} (changed)")
    if wrong:
        raise BackupDamaged(f"{backup.url} is damaged: {', '.join(wrong[:10])}, {len(wrong)} in all.", ANOTHER)
    return {name: backup.local_path(each.file) or dumps[each.file] for name, each in manifest.databases.items()}


def backups_in(place: FileTree) -> list[str]:
    """The names of the complete backups directly in a place, oldest first."""
    return [name for name in place.folders() if NAME.fullmatch(name) and MANIFEST in place.below(name).sizes()]


def prune(place: FileTree, keep: int) -> list[str]:
    """Remove all but the newest complete backups of a place, and what older ones were left incomplete.

    Returns their names. A backup loses its manifest first, so that what is half removed is none.
    """
    complete = backups_in(place)
    oldest_kept = complete[-keep]
    removed = [name for name in place.folders() if NAME.fullmatch(name) and name < oldest_kept]
    for name in removed:
        old = place.below(name)
        if name in complete:
            old.remove([MANIFEST])
        old.remove_all()
    return removed


def local_blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file on this machine, in blocks."""
    with path.open("rb") as file:
        yield from blocks_of(file)


def differing(tree: FileTree, wanted: Mapping[str, StoredFile]) -> tuple[list[str], list[str]]:
    """Of the files in a tree, those that are not what is wanted there; and of what is wanted, what is missing."""
    found = tree.sizes()
    others = [name for name in found if name not in wanted or fingerprint_of(tree.blocks(name)) != wanted[name]]
    return others, [name for name in wanted if name not in found]


def _digest(manifest: Manifest) -> str:
    text = json.dumps(as_json(replace(manifest, digest="")), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
