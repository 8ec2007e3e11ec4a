"""Terraform at hand, its provider from a folder on disk, and an emulator of AWS: what is missing skips the test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from churn.platform.ports import LOOPBACK
from churn.settings import PROJECT
from tests.server import Server, random_free_port
from tests.terraform.emulated import REGION, Emulated
from tests.terraform.runner import Terraform

MIRROR = Path(os.environ.get("TF_PLUGIN_MIRROR") or "/opt/tf-plugins")


@pytest.fixture(scope="session")
def terraform_command() -> str:
    """The binary, or the test is skipped."""
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("terraform is not installed: https://developer.hashicorp.com/terraform/install (1.11 or newer)")
    return found


@pytest.fixture(scope="session")
def cli_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Terraform's own configuration, which takes providers from a folder and from nowhere else."""
    named = Path(os.environ.get("TF_CLI_CONFIG_FILE") or "/nowhere")
    if named.is_file():
        return named
    if not MIRROR.is_dir():
        pytest.skip(
            "The AWS provider is not at hand: name a filesystem mirror in TF_CLI_CONFIG_FILE or TF_PLUGIN_MIRROR "
            "(`terraform -chdir=terraform providers mirror FOLDER` fills one)."
        )
    written = tmp_path_factory.mktemp("terraform") / "cli.tfrc"
    written.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{MIRROR}"\n  }}\n}}\n')
    return written


@pytest.fixture
def terraform(terraform_command: str, cli_config: Path, tmp_path: Path) -> Terraform:
    """Terraform in a copy of our files, with no AWS."""
    folder = tmp_path / "terraform"
    shutil.copytree(
        PROJECT / "terraform", folder, ignore=shutil.ignore_patterns(".terraform", "*.tfplan", "*.tfstate*")
    )
    told = tmp_path / "include/churn_airflow/distributed.env"  # which the settings of Airflow begin with
    told.parent.mkdir(parents=True)
    shutil.copyfile(PROJECT / "include/churn_airflow/distributed.env", told)
    return Terraform(terraform_command, folder, {"TF_CLI_CONFIG_FILE": str(cli_config)})


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Emulated]:
    """An account of AWS that lives as long as the test, with a zone and certificates in it."""
    python = PROJECT / ".venv-moto" / "bin" / "python"
    if not python.exists():
        pytest.skip(".venv-moto is absent: run `make .venv-moto/installed`")
    port = random_free_port()
    command = [str(python), str(PROJECT / "tests" / "terraform" / "emulator.py"), "-H", LOOPBACK, "-p", str(port)]
    server = Server(command, f"http://{LOOPBACK}:{port}", tmp_path / "emulator.log", {})
    try:
        yield Emulated.prepare(server.start("/moto-api/").url, _client)
    finally:
        server.stop()


def _client(endpoint: str, service: str, region: str = REGION):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
