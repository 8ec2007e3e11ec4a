"""What stands before PostgreSQL on RDS: TLS, and a login by a signed token, which is checked as AWS would check it.

The signature is reckoned anew from the published algorithm (AWS Signature Version 4, a presigned GET of
`host:port/?Action=connect&DBUser=role`), not by the library that made it. Behind it is a real server.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from churn.platform.ports import LOOPBACK

_SSL_REQUEST = 80877103
Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


@dataclass
class RdsFront:
    """One that lets `role` in with a valid token, and logs in behind with the role's own password."""

    server_port: int
    role: str
    password: str
    secret_key: str
    certificate: Path
    lifetime_seconds: float = 900
    port: int = 0
    tokens: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def serve(self, client: Reader, answer: Writer) -> None:
        """One connection: TLS or nothing, then everything is passed on but the password."""
        (code,) = struct.unpack("!4xI", await client.readexactly(8))
        if code != _SSL_REQUEST:
            self.refused.append("no TLS")
            answer.close()
            return
        answer.write(b"S")
        await answer.drain()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate)
        await answer.start_tls(context)
        server, to_server = await asyncio.open_connection(LOOPBACK, self.server_port)
        await asyncio.gather(self._inwards(client, to_server, answer), _pass_on(server, answer))

    async def _inwards(self, client: Reader, server: Writer, answer: Writer) -> None:
        size = await client.readexactly(4)
        server.write(size + await client.readexactly(struct.unpack("!I", size)[0] - 4))
        kind, body = await _message(client)
        token = body.rstrip(b"\0").decode()
        wrong = "no password message" if kind != b"p" else self.fault_of(token)
        if wrong:
            self.refused.append(wrong)
            text = b"SFATAL\0C28000\0MPAM authentication failed\0\0"
            answer.write(b"E" + struct.pack("!I", len(text) + 4) + text)
            await answer.drain()
            server.close()
            return
        self.tokens.append(token)
        own = self.password.encode() + b"\0"
        server.write(b"p" + struct.pack("!I", len(own) + 4) + own)
        await _pass_on(client, server)

    def fault_of(self, token: str) -> str | None:
        """Why a token lets nobody in; None where it does."""
        parts = urlsplit(f"https://{token}")
        said = dict(parse_qsl(parts.query, keep_blank_values=True))
        signature = said.pop("X-Amz-Signature", "")
        if parts.netloc != f"{LOOPBACK}:{self.port}" or said.get("DBUser") != self.role:
            return "for another server or role"
        made = datetime.strptime(said["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if datetime.now(UTC) - made > timedelta(seconds=min(self.lifetime_seconds, float(said["X-Amz-Expires"]))):
            return "expired"
        return None if hmac.compare_digest(signature, self._signature(parts.netloc, said)) else "not signed by us"

    def _signature(self, host: str, said: dict[str, str]) -> str:
        query = "&".join(f"{quote(name, safe='-_.~')}={quote(said[name], safe='-_.~')}" for name in sorted(said))
        nothing = hashlib.sha256(b"").hexdigest()
        request = f"GET\n/\n{query}\nhost:{host}\n\nhost\n{nothing}"
        scope = said["X-Amz-Credential"].split("/", 1)[1]
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{said['X-Amz-Date']}\n{scope}\n{digest}"
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


@contextmanager
def listening(front: RdsFront) -> Iterator[RdsFront]:
    """Let it listen on a free port for the block."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(front.serve, LOOPBACK, 0))
    front.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        stop: Callable[[], None] = loop.stop
        loop.call_soon_threadsafe(stop)
        thread.join()
        server.close()


def write_certificate(path: Path) -> None:
    """A key with a certificate for loopback that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rds front of tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    unencrypted = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))


async def _message(reader: Reader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    (size,) = struct.unpack("!I", await reader.readexactly(4))
    return kind, await reader.readexactly(size - 4)


async def _pass_on(source: Reader, target: Writer) -> None:
    try:
        while block := await source.read(65536):
            target.write(block)
            await target.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        target.close()
