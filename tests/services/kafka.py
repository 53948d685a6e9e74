"""One Kafka broker for all tests; each test has topics of its own under a prefix."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from gridsignal_services.bus.kafka_topics import Brokers
from tests.conftest import RAN_ON
from tests.services.docker import docker_answers
from tests.services.maven import jars, need
from tests.services.process import Process, free_ports

VERSION = "4.3.1"
ADDRESS = "GRIDSIGNAL_TEST_KAFKA"
_ARTIFACTS = (
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3",
    "org.apache.logging.log4j:log4j-core:2.25.3",
)
_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/log
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""
_LOG4J = """
rootLogger.level=WARN
rootLogger.appenderRef.stdout.ref=stdout
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=INFO
appender.stdout.type=Console
appender.stdout.name=stdout
"""
_JVM = ["-Xms192m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k"]


class KafkaNode:
    """A broker and controller in one process, with its data in `folder`."""

    def __init__(self, folder: Path) -> None:
        need("java", "mvn")
        port, controller = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        properties, logging = folder / "server.properties", folder / "log4j2.properties"
        properties.write_text(_PROPERTIES.format(port=port, controller=controller, folder=folder), "utf-8")
        logging.write_text(_LOG4J, "utf-8")
        java = ["java", *_JVM, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars(*_ARTIFACTS)}/*"]
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        form = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        subprocess.run([*java, *form, "--standalone", "--ignore-formatted"], check=True, capture_output=True)
        ready = "Kafka Server started"
        self.process = Process([*java, "kafka.Kafka", str(properties)], ready, folder / "kafka.out")
        try:
            asyncio.run(answers(self.address))
        except BaseException:
            self.process.kill()
            raise


async def answers(address: str) -> None:
    """Returns when a metadata request is answered: the open port comes a moment earlier."""
    async with asyncio.timeout(30):
        while True:
            admin = AIOKafkaAdminClient(bootstrap_servers=address)
            try:
                await admin.start()
                await admin.list_topics()
                return
            except (KafkaError, OSError):
                continue
            finally:
                await admin.close()


def _container() -> Iterator[tuple[str, str]]:
    from testcontainers.kafka import KafkaContainer

    image = f"apache/kafka:{VERSION}"
    with KafkaContainer(image) as container:
        yield container.get_bootstrap_server(), f"{image} in a container"


def _started(folder: Path) -> Iterator[tuple[str, str]]:
    node = KafkaNode(folder)
    try:
        yield node.address, f"{VERSION}, started by the tests"
    finally:
        node.process.stop()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """A broker's address: from the environment, of a container, or of a process."""
    if address := os.environ.get(ADDRESS):
        found: Iterator[tuple[str, str]] = iter([(address, f"at {ADDRESS}")])
    elif docker_answers():
        found = _container()
    else:
        found = _started(tmp_path_factory.mktemp("kafka"))
    address, said = next(found)
    request.config.stash[RAN_ON]["Kafka"] = said
    try:
        yield Brokers(address)
    finally:
        next(found, None)
