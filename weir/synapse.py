"""How a Synapse on this machine is set up: for one folder, one address, and nobody outside.

No key server, no push, and no federation unless it is asked for, and then with whoever
presents any certificate. Every rate limit is lifted, so it must never face the internet.
What runs the process is `homeserver.py`.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CERTIFICATE_LASTS = datetime.timedelta(days=3650)


def configuration(
    folder: Path, server_name: str, address: str, port: int, federation: int | None, given: Mapping[str, str]
) -> dict[str, object]:
    """Synapse's configuration; the files that it names are made in `folder` when they are not there.

    `port` is for clients, `federation` for other homeservers; `given` has the secrets
    `registration`, `macaroon` and `form`.
    """
    key = folder / "signing.key"
    if not key.exists():
        write_secret(key, f"ed25519 a_weir {base64.b64encode(secrets.token_bytes(32)).decode().rstrip('=')}\n")
    logs = folder / "log.json"
    logs.write_text(json.dumps(LOGGING))
    listener = {"port": port, "bind_addresses": [address], "type": "http", "tls": False}
    settings: dict[str, object] = {
        "server_name": server_name,
        "public_baseurl": f"http://{address}:{port}/",
        "listeners": [listener | {"resources": [{"names": ["client"]}]}],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(key),
        "log_config": str(logs),
        "registration_shared_secret": given["registration"],
        "macaroon_secret_key": given["macaroon"],
        "form_secret": given["form"],
        **ALONE,
        **UNLIMITED,
    }
    if federation is None:
        return settings | {"federation_domain_whitelist": []}
    certificate, private = certificate_files(folder, address)
    outer = {"port": federation, "bind_addresses": [address], "type": "http", "tls": True}
    return settings | FEDERATING | {
        "listeners": [
            listener | {"resources": [{"names": ["client"]}]},
            outer | {"resources": [{"names": ["federation", "keys"]}]},
        ],
        "tls_certificate_path": str(certificate),
        "tls_private_key_path": str(private),
    }


def certificate_files(folder: Path, address: str) -> tuple[Path, Path]:
    """A self-signed certificate for an address and for localhost, and its key."""
    certificate, private = folder / "tls.crt", folder / "tls.key"
    if certificate.exists() and private.exists():
        return certificate, private
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(address))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + CERTIFICATE_LASTS)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    plain = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(private, plain.decode())
    certificate.write_bytes(signed.public_bytes(form))
    return certificate, private


def write_secret(path: Path, text: str) -> None:
    """Write a file for its owner only."""
    path.touch(mode=0o600)
    path.write_text(text)


ALONE: dict[str, object] = {
    "report_stats": False,
    "trusted_key_servers": [],  # the default asks matrix.org
    "suppress_key_server_warning": True,
    "presence": {"enabled": False},
    "push": {"enabled": False},
    "stats": {"enabled": False},
    "enable_search": False,
    "user_directory": {"enabled": False},
    "url_preview_enabled": False,
    "bcrypt_rounds": 4,  # passwords of a machine that is thrown away; 12 rounds cost 0.3 s of CPU a login
}

WIDE = {"per_second": 10000, "burst_count": 10000}
UNLIMITED: dict[str, object] = {
    "rc_message": WIDE,
    "rc_registration": WIDE,
    "rc_login": {"address": WIDE, "account": WIDE, "failed_attempts": WIDE},
    "rc_joins": {"local": WIDE, "remote": WIDE},
    "rc_joins_per_room": WIDE,
    "rc_invites": {"per_room": WIDE, "per_user": WIDE, "per_issuer": WIDE},
    "rc_room_creation": WIDE,
}

LOGGING: dict[str, object] = {
    "version": 1,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "WARNING", "handlers": ["out"]},
    "disable_existing_loggers": False,
}

FEDERATING: dict[str, object] = {
    "federation_verify_certificates": False,  # all that federate are on this machine, with certificates like ours
    "ip_range_blacklist": [],  # the default keeps from loopback
    "federation_ip_range_blacklist": [],
    "rc_federation": {
        "window_size": 1000, "sleep_limit": 10000, "sleep_delay": 0, "reject_limit": 100000, "concurrent": 100,
    },
    "federation_rr_transactions_per_room_per_second": 10000,
}
