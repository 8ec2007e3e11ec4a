"""`.env`, from which Docker Compose takes the stack's secrets: read, completed, judged."""

import base64
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from churn.errors import ConfigurationError
from churn.secret_rules import ENVIRONMENT, OF_THE_STACK, Kind, faults, require_secrets, wrong_with

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_HEADER = "# Made by `make setup-data`, for docker-compose.yaml. Whoever reads this file can do everything.\n"


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of an env file, quotes and comments taken off; empty where there is no file.

    The last line of a name counts, as it does for Docker Compose.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    matched = (_LINE.fullmatch(line) for line in lines if not line.lstrip().startswith("#"))
    return {each[1]: _unquoted(each[2]) for each in matched if each}


def complete_env_file(path: Path) -> list[str]:
    """Add what is missing with random values, mode 0600; return the names that were added.

    No line that is there changes, so it is safe to run again. A name that stands there without a value gets one
    below.
    """
    known = read_env_file(path)
    made = {each.variable: random_secret(each.kind) for each in OF_THE_STACK if not known.get(each.variable)}
    if not known.get(ENVIRONMENT):
        made = {ENVIRONMENT: "local", "CHURN_API_ALLOW_REMOTE": "1"} | made
    if made or not path.exists():
        _append(path, made)
    path.chmod(0o600)
    return list(made)


def random_secret(kind: Kind) -> str:
    """A new secret of a kind, safe in a URL as it is, and none that spells a known word by chance."""
    while wrong_with(made := _random_text(kind), kind):
        pass
    return made


def require_stack_secrets(path: Path, environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError where a secret of the stack is missing or, outside local, a default or weak.

    What the shell sets goes before the file, as it does for Docker Compose.
    """
    known = read_env_file(path) | {name: value for name, value in environ.items() if value}
    require_secrets(known, OF_THE_STACK)
    bind = known.get("BIND_ADDRESS", "127.0.0.1")
    if bind not in ("127.0.0.1", "::1", "localhost") and faults(known | {ENVIRONMENT: "production"}, OF_THE_STACK):
        raise ConfigurationError(
            f"BIND_ADDRESS {bind} would show the stack to the network with secrets that are fit for this machine only.",
            f"Set {ENVIRONMENT} to staging or production and run this again: it names them.",
        )


def _append(path: Path, made: Mapping[str, str]) -> None:
    before = path.read_text("utf-8") if path.exists() else _HEADER
    lines = "".join(f"{name}={value}\n" for name, value in made.items())
    text = before + ("" if before.endswith("\n") else "\n") + lines
    half = path.with_name(f"{path.name}.half")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    half.replace(path)  # the old file or the new one, whatever happens


def _random_text(kind: Kind) -> str:
    if kind == "fernet":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if kind == "identifier":
        return secrets.token_hex(10)
    return secrets.token_urlsafe(48 if kind == "key" else 24)


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()
