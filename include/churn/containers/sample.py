"""`python -m churn.containers.sample ENV_FILE FOLDER`: what `make setup-data` does before the first `make up`."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from churn.containers.env_file import complete_env_file
from churn.simulator import write_extract

SAMPLE_CUSTOMERS = 7_043
SAMPLE_SEED = 1


def add_sample(folder: Path) -> Path | None:
    """Write today's extract of simulated customers where no extract lies; return it, or None where one does."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("customers-*")):
        return None
    path = folder / f"customers-{datetime.now(UTC).date()}.csv"
    write_extract(path, SAMPLE_CUSTOMERS, SAMPLE_SEED, with_churn=True)
    path.chmod(0o644)  # the container reads it as another user
    return path


def main(env_file: Path, folder: Path) -> None:
    """Complete `.env` and the landing sample, and say what was done."""
    added = complete_env_file(env_file)
    sys.stdout.write(f"{env_file}: {'added ' + ', '.join(added) if added else 'complete, nothing changed'}\n")
    sample = add_sample(folder)
    sys.stdout.write(f"{sample or folder}: {'simulated customers' if sample else 'has extracts, nothing changed'}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
