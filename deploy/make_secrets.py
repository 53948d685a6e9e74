#!/usr/bin/env python3
"""Makes the passwords of the local stack at its first start, each into a volume of whoever needs it; none is printed.

Runs once as root, with nothing but the right to give files away: each file is readable by its owner's number alone.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

ROOT = Path("/secrets")
BROKER, REGISTRY, DOORS = 1000, 1001, 10001
"""As whom the services run: the user numbers of their images, and of ours."""
JAAS = """\
KafkaServer {{
  org.apache.kafka.common.security.plain.PlainLoginModule required
  username="broker" password="{broker}"
  user_broker="{broker}" user_gridsignal="{doors}" user_registry="{registry}";
}};
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
    """Makes what is not there; the brokers' file comes last and says that all are."""
    if (ROOT / "broker" / "jaas.conf").exists():
        return
    made = {name: secrets.token_urlsafe(32) for name in ("broker", "doors", "registry", "cache")}
    write("doors/kafka-password", made["doors"] + "\n", DOORS)
    write("doors/redis-url", f"redis://:{made['cache']}@cache:6379/0\n", DOORS)
    write("cache/valkey.conf", f"requirepass {made['cache']}\n", DOORS)
    write("cache/key", made["cache"] + "\n", DOORS)
    write("registry/jaas.conf", CLIENT_JAAS.format(**made), REGISTRY)
    write("broker/jaas.conf", JAAS.format(**made), BROKER)


if __name__ == "__main__":
    main()
