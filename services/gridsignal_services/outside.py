"""How a service's settings reach what is outside of it: Kafka, the schema registry, Redis."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gridsignal_services.settings import ServerSettings

_SERVERS = re.compile(r"[A-Za-z0-9._-]+:\d{1,5}(,[A-Za-z0-9._-]+:\d{1,5})*")
_TOPIC_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,64}")


def faults_of_the_outside(settings: ServerSettings) -> list[str]:
    """Faults in how Kafka, the schema registry and Redis are reached; passwords are not repeated."""
    faults = []
    if settings.kafka is not None and not _SERVERS.fullmatch(settings.kafka):
        faults.append(f"kafka: expected host:port, several with commas, got {settings.kafka!r:.60}")
    if (settings.kafka_username is None) != (settings.kafka_password is None):
        faults.append("kafka_password: expected together with kafka_username, got one of them")
    if settings.schema_registry is not None and not settings.schema_registry.startswith(("http://", "https://")):
        faults.append("schema_registry: expected a URL with http or https, got something else")
    if settings.redis is not None and not settings.redis.startswith(("redis://", "rediss://", "unix://")):
        faults.append("redis: expected a URL with redis, rediss or unix, got something else")
    if not _TOPIC_PREFIX.fullmatch(settings.topic_prefix):
        faults.append(
            f"topic_prefix: expected at most 64 of letters, digits, . _ and -, got {settings.topic_prefix!r:.60}"
        )
    return faults
