"""`make security-scan`: code, secrets, dependencies and infrastructure, each by its own tool; ends with 1 on a finding.

Run with the Python of .venv-checks. A scan that cannot be made here is told as such, never as clean.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent
BESIDE = PROJECT / ".venv" / "bin"  # where detect-secrets is: see tests/requirements-checks.in
LOCKS = ("requirements.txt", "api/requirements.txt", "requirements-dev.txt")
QUIET = ("--quiet", "--compact", "--skip-download")
CODE = ("include", "api", "dags", "plugins")
# What stands in tests and documents instead of a secret, each a word of its own or part of an address.
NOT_SECRET = (
    r"only[- ]for[- ](tests|benchmarks)",
    r"\"testing\"",
    r"//(someone:else|me:(secret-)?word|churn_pipeline:a%2Fb)@",
    r"//[\w{}]+:(PASSWORD|\{password\}|\.\.\.|<\w+>)@",
    r"SecretsManagerBackend",  # the name of a class
    r"CHURN_SECRETS_PREFIX",  # where secrets lie, and none
    r"PASSWORD(S_FILE)? = \"[A-Z_]+\"",  # the name of a variable
    r"secret_key +:?= \"none\"",  # of an emulated account
    r"drawn-by-a-cloud",
    r"secrets += \"passwords and connections\"",  # what a key of ours encrypts
)
# Their subject is what passes for a secret: they are full of what does not.
ABOUT_SECRETS = r"tests/unit/test_(env_file|secret_rules)\.py"


def main() -> int:
    """Run every scan; print one line each, and the findings."""
    scans: dict[str, Callable[[], str | None]] = {
        "code (bandit)": bandit,
        "secrets (detect-secrets)": detect_secrets,
        "dependencies (pip-audit)": pip_audit,
        "infrastructure (checkov)": checkov,
    }
    failed = False
    for name, scan in scans.items():
        try:
            said = scan()
        except subprocess.CalledProcessError as error:
            failed, said = True, f"FINDINGS\n{error.stdout}{error.stderr}"
        print(f"{name:26} {said or 'clean'}", flush=True)  # noqa: T201 - this is what it is for
    return int(failed)


def bandit() -> None:
    """The code that runs; what is excused is explained beside the line, or in pyproject.toml."""
    run("bandit", "--quiet", "--configfile", "pyproject.toml", "--recursive", *CODE)


def detect_secrets() -> None:
    """Every tracked file; each finding names file, line and kind."""
    files = subprocess.run(["git", "ls-files"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout.split()
    excused = [word for pattern in NOT_SECRET for word in ("--exclude-lines", pattern)]
    found = json.loads(run(BESIDE / "detect-secrets", "scan", "--exclude-files", ABOUT_SECRETS, *excused, *files))[
        "results"
    ]
    lines = [f"{file}:{each['line_number']} {each['type']}\n" for file, every in found.items() for each in every]
    if lines:
        raise subprocess.CalledProcessError(1, "detect-secrets", "".join(lines), "")


def pip_audit() -> str | None:
    """The pins against the advisories of the package index; a pin that it does not know is a finding."""
    locks = [word for lock in LOCKS for word in ("--requirement", lock)]
    command = ["pip-audit", "--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json", *locks]
    pins = json.loads(run(*command))["dependencies"]
    unknown = [f"{pin['name']}: {pin['skip_reason']}\n" for pin in pins if "skip_reason" in pin]
    if len(unknown) == len(pins):
        return "NOT SCANNED: no package index that tells advisories is reachable from here"
    if unknown:
        raise subprocess.CalledProcessError(1, "pip-audit", "".join(unknown), "")
    return None


def checkov() -> str | None:
    """The Terraform files as production plans them, and the Dockerfiles; what is excused is explained beside it."""
    if not (TOOLS / "checkov").exists():
        return "NOT SCANNED: checkov is not installed in .venv-checks"
    if (PROJECT / "terraform").exists():
        run("checkov", *QUIET, "--directory", "terraform", "--var-file", "terraform/production.tfvars")
    for file in sorted([*PROJECT.glob("*Dockerfile"), *PROJECT.glob("terraform/*Dockerfile")]):
        run("checkov", *QUIET, "--framework", "dockerfile", "--file", str(file.relative_to(PROJECT)))
    return None


def run(tool: str | Path, *arguments: str) -> str:
    """Run a tool, by its name one of this environment. Raises CalledProcessError with what it found."""
    done = subprocess.run(
        [TOOLS / tool, *arguments], cwd=PROJECT, check=True, capture_output=True, text=True, env=dict(os.environ)
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
