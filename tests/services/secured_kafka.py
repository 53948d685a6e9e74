"""A Kafka broker that asks everybody who they are: TLS, passwords by SCRAM and PLAIN, and rights by topic."""

from __future__ import annotations

import asyncio
import os
import shlex
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gridsignal_services.bus.kafka_topics import Brokers
from tests.certificates import Authority
from tests.services.kafka import TOOLS, KafkaNode, answers, plans
from tests.services.maven import java, need
from tests.services.process import free_ports

DOORS = ("gateway", "dispatch", "ingest")
PASSWORD = "canary-of-the-brokers"
_LOGIN = "org.apache.kafka.common.security"
_MORE = """
listeners=PLAINTEXT://127.0.0.1:{open},CONTROLLER://127.0.0.1:{controller},TLS://127.0.0.1:{tls},CLEAR://127.0.0.1:{clear}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SASL_SSL,CLEAR:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={certificate}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
_LISTENER = """
listener.name.{name}.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
listener.name.{name}.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.{name}.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.{name}.plain.sasl.jaas.config={login}.plain.PlainLoginModule required {users};
"""


@dataclass(frozen=True, slots=True)
class Secured:
    """Where the broker is, and what proves it."""

    unguarded: Brokers
    """The listener of whoever runs the broker, who may do everything."""
    tls: str
    """host:port with TLS and a password."""
    clear: str
    """host:port with a password and without TLS."""
    authority: Path
    """What signed its certificate."""

    def of(self, user: str, sasl: str = "SCRAM-SHA-512", password: str = PASSWORD) -> Brokers:
        """The way of one user over TLS."""
        return Brokers(self.tls, ssl.create_default_context(cafile=self.authority), user, password, sasl)

    def run(self, command: Sequence[str]) -> str:
        """What one of Kafka's own commands says, as whoever runs the broker gives it."""
        assert command[0] == "kafka-acls.sh"
        words = [*java(TOOLS), "org.apache.kafka.tools.AclCommand", *command[1:]]
        said = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
        assert said.returncode == 0, shlex.join(command) + said.stdout + said.stderr
        return said.stdout


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker of the tests' own, for its rights and users are."""
    need("java", "mvn")
    folder = tmp_path_factory.mktemp("secured-kafka")
    authority = Authority(folder)
    certificate = authority.certificate("broker")
    os.chmod(certificate, 0o600)
    tls, clear = free_ports(2)
    (plan,) = plans(1)
    users = " ".join(f'user_{name}="{PASSWORD}"' for name in DOORS)
    more = _MORE.format(open=plan.port, controller=plan.controller, tls=tls, clear=clear, certificate=certificate)
    more += "".join(_LISTENER.format(name=name, login=_LOGIN, users=users) for name in ("tls", "clear"))
    scram = [f"{way}=[name={name},password={PASSWORD}]" for name in DOORS for way in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
    made_with = tuple(argument for user in scram for argument in ("--add-scram", user))
    node = KafkaNode(folder / "1", replace(plan, more=more, made_with=made_with))
    try:
        asyncio.run(answers(node.address))
        yield Secured(Brokers(node.address), f"127.0.0.1:{tls}", f"127.0.0.1:{clear}", authority.file)
    finally:
        node.process.stop()
