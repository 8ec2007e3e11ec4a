"""Terraform in a folder of its own, as the tests start it."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG")
LONGEST = 600  # seconds; an emulator that lacks a call shows by then


@dataclass
class Terraform:
    """One working folder and the variables that Terraform sees; nothing of the caller's AWS is among them."""

    command: str
    folder: Path
    environment: dict[str, str]
    values: list[str] = field(default_factory=list)

    def run(self, *arguments: str, timeout: int = LONGEST) -> str:
        """Run a command; fails the test with Terraform's own words."""
        done = subprocess.run(
            [self.command, *arguments],
            cwd=self.folder,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ}
            | {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
            | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"terraform {' '.join(arguments)}\n{done.stdout[-6000:]}"
        return done.stdout

    def plan(self) -> dict[str, Any]:
        """What Terraform would change, as data."""
        self.run("plan", "-no-color", "-parallelism=40", "-out=now.tfplan", *self.values)
        return json.loads(self.run("show", "-json", "now.tfplan"))
