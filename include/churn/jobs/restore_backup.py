"""A backup becomes a system again, in an empty place: everything is verified first, and nothing is overwritten."""

import logging
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn import backups
from churn.backups import ARTIFACTS, Manifest
from churn.db import dumps
from churn.db.migrations import OWNER, needed_revision, prepare_roles
from churn.db.restoring import Place, put_in_place
from churn.errors import BackupDamaged, ChurnError, NotEmpty, RestoreFailed
from churn.file_tree import FileTree
from churn.jobs.take_backup import CHURN, MLFLOW, Saved

log = logging.getLogger(__name__)

EMPTY_IT = "Nothing was changed. Restore into an empty place, or empty this one yourself."


@dataclass(frozen=True)
class Restored:
    """A backup that was restored, and the seconds that it took."""

    manifest: Manifest
    seconds: float

    def summary(self) -> dict[str, Any]:
        """One row for people."""
        return {
            "backup": self.manifest.backup_id,
            "taken_at": self.manifest.created_at,
            "seconds": round(self.seconds, 1),
            "rows": {name: sum(each.row_counts.values()) for name, each in self.manifest.databases.items()},
            "artifacts": len(self.manifest.artifacts),
            "model_versions": len(self.manifest.model_versions),
            "next": "start the services; role passwords come from the platform or the secret store, not from a backup",
        }


def restore_backup(source: str, target: Saved) -> Restored:
    """Restore a backup into empty databases and an empty artifact root.

    The databases are filled beside their places, held against the counts of the manifest, and put in place in one
    moment, after the artifacts. Killed before that moment it leaves the place empty but for artifacts that are those
    of the backup, and can be run again. Raises BackupDamaged, NotEmpty and ConfigurationError before anything is
    changed; RestoreFailed after everything that had been made was removed again.
    """
    started, backup = time.monotonic(), FileTree(source)
    with tempfile.TemporaryDirectory(prefix="churn-restore-") as folder, target.churn.named("postgres").lock("restore"):
        manifest = backups.read_manifest(backup)
        _require_schema(manifest)
        places = _places(target, manifest)
        _require_empty(places, target.artifacts, manifest)
        files = backups.verify(backup, manifest, Path(folder))
        log.info("Verified %s files, %.1f MB", len(manifest.files), manifest.byte_count / 1e6)
        _restore(backup, manifest, places, files, target)
    return Restored(manifest, time.monotonic() - started)


def _require_schema(manifest: Manifest) -> None:
    if manifest.schema_revision != needed_revision():
        raise BackupDamaged(
            f"{manifest.backup_id} is of schema revision {manifest.schema_revision}, not {needed_revision()}.",
            f"Nothing was changed. Restore it with churn {manifest.product_version}, then upgrade: `churn db migrate`.",
        )


def _places(target: Saved, manifest: Manifest) -> dict[str, Place]:
    """Where each database goes: the registry first, so that no ledger ever speaks of what is not there."""
    registry_admin = target.churn if target.churn.server == target.mlflow.server else target.mlflow
    return {
        MLFLOW: Place(target.mlflow, registry_admin, manifest.databases[MLFLOW].comment),
        CHURN: Place(target.churn, target.churn, manifest.databases[CHURN].comment),
    }


def _require_empty(places: Mapping[str, Place], artifacts: FileTree, manifest: Manifest) -> None:
    """Raise NotEmpty with everything that is in the way. Artifacts of this very backup are in nobody's way."""
    found = [obstacle for place in places.values() if (obstacle := place.obstacle())]
    others, _ = backups.differing(artifacts, manifest.artifacts)
    if others:
        found.append(f"{artifacts.url} holds {len(others)} other files ({', '.join(others[:3])}, ...)")
    if found:
        raise NotEmpty(f"The target is not empty: {'; '.join(found)}.", EMPTY_IT)


def _restore(
    backup: FileTree, manifest: Manifest, places: Mapping[str, Place], files: Mapping[str, Path], target: Saved
) -> None:
    """Fill, check and put in place; what was made is removed again where that fails."""
    added: list[str] = []
    try:
        for name, place in places.items():
            _fill(place, files[name], manifest, name, target.programs)
        _copy_artifacts(backup, manifest, target.artifacts, added)
        put_in_place(list(places.values()))
    except ChurnError:
        _remove(added, places, target)
        raise
    except OSError as error:
        _remove(added, places, target)
        raise RestoreFailed(f"Artifacts could not be copied: {error}.", "Mend that, then restore again.") from error


def _remove(added: list[str], places: Mapping[str, Place], target: Saved) -> None:
    target.artifacts.remove(added)
    for place in places.values():
        place.remove_beside()


def _fill(place: Place, file: Path, manifest: Manifest, name: str, programs: Path) -> None:
    """Load a dump beside its place and hold it against the manifest. Raises RestoreFailed where it differs."""
    started, beside = time.monotonic(), place.make_beside(manifest.backup_id)
    if name == CHURN:
        prepare_roles(beside)
    dumps.load(programs, file, beside, OWNER if name == CHURN else None)
    expected, found = manifest.databases[name].row_counts, dumps.row_counts(beside)
    wrong = sorted(table for table in expected | found if expected.get(table) != found.get(table))
    if wrong:
        raise RestoreFailed(f"The restored tables {', '.join(wrong)} have other rows.", "Restore another backup.")
    log.info("%s: %s rows, %.1f s", name, f"{sum(found.values()):,}", time.monotonic() - started)


def _copy_artifacts(backup: FileTree, manifest: Manifest, artifacts: FileTree, added: list[str]) -> None:
    """Copy the artifacts that are not there yet; `added` tells which. Raises RestoreFailed where one changed since."""
    _, missing = backups.differing(artifacts, manifest.artifacts)
    for name in missing:
        written = artifacts.write(name, backup.blocks(ARTIFACTS + name))
        added.append(name)
        if written != manifest.artifacts[name]:
            raise RestoreFailed(f"{name} changed after it was verified.", "Restore another backup.")
    log.info("artifacts: %s files", f"{len(missing):,}")
