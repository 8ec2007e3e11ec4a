"""Domain errors. Each says what is wrong and names the operator's next step."""


class ChurnError(Exception):
    """A failure that a person can act on.

    `message` says what is wrong (which row, field, file or service), `next_step` what to do about it.
    `retry_helps` tells a scheduler whether the same call may go through later without anyone's help;
    `noticed` that the job has already sent its notice.
    """

    retry_helps = False
    noticed = False

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(f"{message} {next_step}")
        self.message = message
        self.next_step = next_step


class ExtractRefused(ChurnError):
    """A landed file was refused whole; `customers` is as it was."""

    noticed = True


class QuarantineOverCap(ExtractRefused):
    """More rows of a file are bad than may be set aside: `bad_count` of `row_count`; `cap_rate` (0..1) is the cap."""

    def __init__(self, message: str, next_step: str, bad_count: int, row_count: int, cap_rate: float) -> None:
        super().__init__(message, next_step)
        self.bad_count = bad_count
        self.row_count = row_count
        self.cap_rate = cap_rate


class StillLanding(ChurnError):
    """A landed file changed while it was being read; nothing was decided about it."""

    retry_helps = True


class AlreadyLanded(ChurnError):
    """The file of a day lies in the landing place already, with other content; it is not overwritten."""


class SourceUnusable(ChurnError):
    """The database behind the landing query does not answer it, or gives nothing."""

    retry_helps = True


class ReplacementNeeded(ChurnError):
    """Another content is admitted for the day of a landed file, and nobody has asked to replace it."""

    noticed = True


class ReleaseRefused(ChurnError):
    """Corrected rows were not released from quarantine; nothing has changed."""


class NothingToTrainOn(ChurnError):
    """The snapshot has no labels, or too few of one class, to train or judge a model."""


class TrainingRefused(ChurnError):
    """The customers to be learned from are not what the column contract says; nothing was trained."""


class NotEnoughMemory(ChurnError):
    """The machine has too little memory left for what was to be done."""

    retry_helps = True


class NoCustomers(ChurnError):
    """No extract has been admitted yet, so there is no customer table to read."""


class NoProductionModel(ChurnError):
    """No version of the model carries the alias `production`."""


class RegistryUnavailable(ChurnError):
    """The model registry cannot be reached."""

    retry_helps = True


class ArtifactRejected(ChurnError):
    """A model artifact is damaged, incomplete, or does not match its recorded digest."""


class RunRejected(ChurnError):
    """A scoring run failed its checks; the published table is as it was."""

    noticed = True


class PromotionRefused(ChurnError):
    """A version may not be promoted: the gate has not approved it, or compared it with another than what serves."""


class RollbackRefused(ChurnError):
    """A version may not serve again: it was never approved, or serves already."""


class RunNotOpen(ChurnError):
    """A scoring run is not in the state that this step needs."""


class SchemaBehind(ChurnError):
    """The database schema is not at the revision that this code needs."""


class DatabaseUnavailable(ChurnError):
    """The database cannot be reached."""

    retry_helps = True


class DatabaseFull(ChurnError):
    """The database server has no room for what was to be written; the transaction was undone."""

    retry_helps = True


class LogRefused(ChurnError):
    """The database refuses a batch of the API's request log; trying again gives the same."""


class KeyRefused(ChurnError):
    """An API key cannot be made or revoked as it was asked for; nothing has changed."""


class TakenOver(ChurnError):
    """Another attempt has taken this work over; what this one wrote is undone."""

    retry_helps = True


class ReportsUnavailable(ChurnError):
    """The bucket of drift reports and data docs cannot be reached, or refuses."""

    retry_helps = True


class AlreadyRunning(ChurnError):
    """Another process holds the lock for this work."""

    retry_helps = True


class ScoresUnusable(ChurnError):
    """A model gave a customer something that is not a probability."""


class NotFound(ChurnError):
    """What was asked for is not in the database."""


class InvalidRecord(ChurnError):
    """A single customer record breaks the column contract; `field` names the column."""

    def __init__(self, message: str, next_step: str, field: str) -> None:
        super().__init__(message, next_step)
        self.field = field


class BackupFailed(ChurnError):
    """A backup could not be completed; what was written of it has no manifest and is no backup."""

    retry_helps = True


class BackupDamaged(ChurnError):
    """A backup is incomplete, changed, or of another schema; nothing was changed."""


class NotEmpty(ChurnError):
    """The place that a backup is to be restored into holds something; nothing was changed."""


class RestoreFailed(ChurnError):
    """A backup could not be restored; what had been made of it was removed again."""


class PlatformError(ChurnError):
    """A process of the local platform did not start or did not become healthy."""


class ConfigurationError(ChurnError):
    """A setting or policy value is missing or unusable."""
