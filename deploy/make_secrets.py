#!/usr/bin/env python3
"""Makes the passwords of the local stack at its first start, each into a volume of whoever needs it; none is printed.

Runs once as root, with nothing but the right to give files away: each file is readable by its owner's number alone.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

ROOT = Path("/secrets")
BROKER, REGISTRY, OURS = 1000, 1001, 10001
"""As whom the services run: the user numbers of their images, and of ours."""
USERS = ("setup", "gateway", "dispatch", "ingest", "demo", "reader", "registry")
"""Of the brokers, beside their own; what each may do, `gridsignal topics acls` says."""
JAAS = """\
KafkaServer {{
  org.apache.kafka.common.security.plain.PlainLoginModule required
  username="broker" password="{broker}"
  user_broker="{broker}" {users};
}};
"""
TOOLS = """\
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="setup" password="{setup}";
"""
CLIENT_JAAS = """\
KafkaClient {{
  org.apache.kafka.common.security.plain.PlainLoginModule required
  username="registry" password="{registry}";
}};
"""


def write(name: str, text: str, owner: int) -> None:
    """A file for one owner, whole at once."""
    path = ROOT / name
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        os.fchown(file.fileno(), owner, owner)
        os.fsync(file.fileno())
    draft.rename(path)


def main() -> None:
    """Makes all of them where they are not there; the file for Kafka's tools comes last and says that they are."""
    if (ROOT / "broker" / "tools.properties").exists():
        return
    made = {name: secrets.token_urlsafe(32) for name in ("broker", "cache", *USERS)}
    for user in ("setup", "gateway", "dispatch", "ingest", "demo"):
        write(f"{user}/kafka-password", made[user] + "\n", OURS)
    for door in ("gateway", "ingest"):
        write(f"{door}/redis-url", f"redis://:{made['cache']}@cache:6379/0\n", OURS)
    write("cache/valkey.conf", f"requirepass {made['cache']}\n", OURS)
    write("cache/key", made["cache"] + "\n", OURS)
    write("registry/jaas.conf", CLIENT_JAAS.format(**made), REGISTRY)
    write("broker/reader-password", made["reader"] + "\n", BROKER)
    users = " ".join(f'user_{user}="{made[user]}"' for user in USERS)
    write("broker/jaas.conf", JAAS.format(users=users, **made), BROKER)
    write("broker/tools.properties", TOOLS.format(**made), BROKER)


if __name__ == "__main__":
    main()
