"""A backup of databases and artifacts, while everything goes on: ledger, registry and scores of one moment.

Both databases are frozen at one moment, in which nobody moves Production: whoever does holds the lock `promotion` from
before the entry in the ledger until after the alias. First the churn database, then MLflow's: a version that is
registered in between is one that nobody speaks of yet, and never the other way round. Artifacts are copied last: they
never change, and each one that a frozen registry names is there.
"""

import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from churn import backups
from churn.backups import ARTIFACTS, Manifest, StoredDatabase
from churn.db import dumps
from churn.db.database import Database
from churn.db.dumps import Frozen
from churn.db.migrations import needed_revision, require_current_schema
from churn.errors import BackupFailed
from churn.file_tree import FileTree
from churn.model_artifact import ARTIFACT_DIGEST_TAG, CONTENTS_FILE
from churn.records import StoredFile
from churn.registry import MODEL_NAME

log = logging.getLogger(__name__)

CHURN, MLFLOW = "churn", "mlflow"
PROXIED = "mlflow-artifacts:/"
_PROMOTION_SECONDS = 900.0  # a promotion is decided in less
_MOMENTS = 3


@dataclass(frozen=True)
class Saved:
    """What is backed up: both databases as roles that may read all of it, the artifact root, the folder of pg_dump."""

    churn: Database
    mlflow: Database
    artifacts: FileTree
    programs: Path


@dataclass(frozen=True)
class Backup:
    """A backup that was taken: where, what it holds, in how many seconds, and which older ones were removed."""

    url: str
    manifest: Manifest
    seconds: float
    removed: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """One row for people."""
        databases = self.manifest.databases
        return {
            "backup": self.url,
            "seconds": round(self.seconds, 1),
            "bytes": self.manifest.byte_count,
            "files": len(self.manifest.files),
            "rows": {name: sum(each.row_counts.values()) for name, each in databases.items()},
            "model_versions": len(self.manifest.model_versions),
            "schema_revision": self.manifest.schema_revision,
            "removed": ", ".join(self.removed) or None,
        }


def take_backup(saved: Saved, destination: str, keep: int | None = None) -> Backup:
    """Write one backup into a new folder of `destination`, and keep only the newest `keep` complete ones.

    Raises SchemaBehind, AlreadyRunning where another backup or a long promotion is at work, and BackupFailed; what was
    written then is removed; after a kill it has no manifest, and goes with the next backup that keeps a number.
    """
    require_current_schema(saved.churn)
    started, place = time.monotonic(), FileTree(destination)
    with saved.churn.lock("backup"):
        created_at = datetime.now(UTC)
        backup_id = f"churn-{created_at:%Y%m%dT%H%M%SZ}"
        backup = place.below(backup_id)
        if backup.sizes():
            raise BackupFailed(f"{backup.url} is there already.", "Wait a second, then run it again.")
        try:
            manifest = _write(saved, backup, backup_id, created_at)
        except OSError as error:
            raise BackupFailed(
                f"{backup.url} could not be written: {error}.", "Make room or give access, then run it again."
            ) from error
        removed = backups.prune(place, keep) if keep else []
    return Backup(backup.url, manifest, time.monotonic() - started, tuple(removed))


def _write(saved: Saved, backup: FileTree, backup_id: str, created_at: datetime) -> Manifest:
    """Write everything and the manifest at last; what was written is removed where that fails."""
    with ExitStack() as undo:
        undo.callback(backup.remove_all)
        databases, files, versions = _databases(saved, backup)
        artifacts = _artifacts(saved.artifacts, backup)
        _require_whole(versions, artifacts, saved.artifacts)
        files |= {ARTIFACTS + name: file for name, file in artifacts.items()}
        numbers = tuple(int(each["version"]) for each in versions)
        manifest = Manifest(backup_id, created_at, version("churn"), needed_revision(), databases, numbers, files)
        backups.write_manifest(backup, manifest)
        undo.pop_all()
    return manifest


@contextmanager
def _one_moment(saved: Saved) -> Iterator[dict[str, Frozen]]:
    """Both databases at one moment in which no promotion is under way."""
    with ExitStack() as stack:
        with saved.churn.lock("promotion", _PROMOTION_SECONDS):
            churn = stack.enter_context(dumps.frozen(saved.churn))
            mlflow = stack.enter_context(dumps.frozen(saved.mlflow))
        yield {CHURN: churn, MLFLOW: mlflow}


def _databases(
    saved: Saved, backup: FileTree
) -> tuple[dict[str, StoredDatabase], dict[str, StoredFile], list[dict[str, Any]]]:
    """Dump both databases; returns their entries, their files, and the versions that the registry has.

    Where a table of the moment is dropped before it is dumped, as a night drops old scores, another moment is taken.
    """
    for _ in range(_MOMENTS - 1):
        with suppress(dumps.TableGone):
            return _dumped(saved, backup)
    return _dumped(saved, backup)


def _dumped(
    saved: Saved, backup: FileTree
) -> tuple[dict[str, StoredDatabase], dict[str, StoredFile], list[dict[str, Any]]]:
    databases: dict[str, StoredDatabase] = {}
    files: dict[str, StoredFile] = {}
    with tempfile.TemporaryDirectory(prefix="churn-backup-") as folder, _one_moment(saved) as moments:
        for name, moment in moments.items():
            started, dump = time.monotonic(), Path(folder) / f"{name}.dump"
            counts = moment.row_counts()
            moment.dump(saved.programs, dump)
            files[dump.name] = backup.write(dump.name, backups.local_blocks(dump))
            databases[name] = StoredDatabase(dump.name, moment.comment, moment.server_version, counts)
            _say(name, sum(counts.values()), "rows", files[dump.name].size, started)
        versions = moments[MLFLOW].model_artifacts(MODEL_NAME, ARTIFACT_DIGEST_TAG)
    return databases, files, versions


def _artifacts(artifacts: FileTree, backup: FileTree) -> dict[str, StoredFile]:
    """Copy every artifact; returns them by their path below the artifact root."""
    started = time.monotonic()
    try:
        copied = {name: backup.write(ARTIFACTS + name, artifacts.blocks(name)) for name in artifacts.sizes()}
    except FileNotFoundError as error:
        raise BackupFailed(f"An artifact was deleted while it was copied: {error}.", "Run it again.") from error
    _say("artifacts", len(copied), "files", sum(file.size for file in copied.values()), started)
    return copied


def _require_whole(versions: list[dict[str, Any]], copied: Mapping[str, StoredFile], artifacts: FileTree) -> None:
    """Hold the copied artifact of each version against the digest that was recorded with it.

    Raises BackupFailed naming the versions of which a file is missing or changed.
    """
    wrong = [str(each["version"]) for each in versions if not _is_whole(each, copied, artifacts)]
    if wrong:
        raise BackupFailed(
            f"The artifacts of version {', '.join(wrong)} are not what the registry recorded.",
            "Restore them from an earlier backup, or delete the versions in MLflow; then run it again.",
        )


def _is_whole(found: dict[str, Any], copied: Mapping[str, StoredFile], artifacts: FileTree) -> bool:
    location = (found["artifact_location"] or "").removeprefix(PROXIED).removeprefix(artifacts.url).strip("/")
    mine = {name.removeprefix(f"{location}/"): file for name, file in copied.items() if name.startswith(f"{location}/")}
    if found["artifact_digest"] is None:  # early versions have none
        return bool(mine)
    contents = mine.get(CONTENTS_FILE)
    if contents is None or contents.sha256 != found["artifact_digest"]:
        return False
    listed = json.loads(artifacts.read(f"{location}/{CONTENTS_FILE}"))
    return all(name in mine and mine[name].sha256 == digest for name, digest in listed.items())


def _say(what: str, count: int, unit: str, byte_count: int, started: float) -> None:
    log.info("%s: %s %s, %.1f MB, %.1f s", what, f"{count:,}", unit, byte_count / 1e6, time.monotonic() - started)
