"""A real S3 on loopback: moto's server, from a venv of its own (`make .venv-moto/installed`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import s3fs

from churn.platform.ports import LOOPBACK
from churn.settings import PROJECT
from tests.server import Server, random_free_port

COMMAND = PROJECT / ".venv-moto" / "bin" / "moto_server"
BUCKET = "landing"


@contextmanager
def moto_server(log_file: Path) -> Iterator[str]:
    """Run the server for the block; yields its endpoint URL. Skips the test where its venv was not made."""
    if not COMMAND.exists():
        pytest.skip(".venv-moto is absent: run `make .venv-moto/installed`")
    port = random_free_port()
    server = Server([str(COMMAND), "-H", LOOPBACK, "-p", str(port)], f"http://{LOOPBACK}:{port}", log_file, {})
    try:
        yield server.start("/moto-api/").url
    finally:
        server.stop()


@contextmanager
def empty_bucket(endpoint: str) -> Iterator[s3fs.S3FileSystem]:
    """The bucket `landing` for the block, found like every AWS client finds one: by the environment."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        filesystem = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
        filesystem.mkdir(BUCKET)
        yield filesystem
        filesystem.rm(BUCKET, recursive=True)
