"""One Kafka broker for all tests; each test has topics of its own under a prefix."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from gridsignal_services.bus.kafka_topics import Brokers
from tests.conftest import RAN_ON
from tests.patience import LONG_S, SOON_S
from tests.services.docker import container, docker_answers
from tests.services.maven import jars, need
from tests.services.process import Process, free_ports

VERSION = "4.3.1"
ADDRESS = "GRIDSIGNAL_TEST_KAFKA"
_ARTIFACTS = (
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3",
    "org.apache.logging.log4j:log4j-core:2.25.3",
)
TOOLS = f"org.apache.kafka:kafka-tools:{VERSION}"
"""Kafka's own commands."""
_PROPERTIES = """
process.roles=broker,controller
node.id={node_id}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/log
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
offsets.topic.num.partitions=1
offsets.topic.replication.factor={replication}
transaction.state.log.replication.factor={replication}
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor={replication}
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

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.address = plan.address
        folder.mkdir(parents=True, exist_ok=True)
        properties, logging = folder / "server.properties", folder / "log4j2.properties"
        properties.write_text(plan.properties(folder), "utf-8")
        logging.write_text(_LOG4J, "utf-8")
        java = ["java", *_JVM, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars(*_ARTIFACTS)}/*"]
        # one word, for an id may begin with a dash
        form = ["kafka.tools.StorageTool", "format", f"--cluster-id={plan.cluster}", "-c", str(properties)]
        command = [*java, *form, "--ignore-formatted", *plan.standalone, *plan.made_with]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LONG_S)
        if done.returncode:
            raise RuntimeError(f"the storage of {plan.address} was not made: {done.stdout[-2000:]}")
        self.process = Process([*java, "kafka.Kafka", str(properties)], "Kafka Server started", folder / "kafka.out")


@dataclass(frozen=True, slots=True)
class Plan:
    """One node's place in its cluster."""

    cluster: str
    node_id: int
    port: int
    controller: int
    voters: tuple[str, ...]
    """id@host:port of every node's controller; empty for a node that is alone."""
    more: str = ""
    """Further properties; they win over those before."""
    made_with: tuple[str, ...] = ()
    """Further arguments of the command that makes its storage."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def standalone(self) -> list[str]:
        return [] if self.voters else ["--standalone"]

    def properties(self, folder: Path) -> str:
        """The node's configuration file."""
        quorum = f"controller.quorum.bootstrap.servers=127.0.0.1:{self.controller}"
        if self.voters:
            quorum = f"controller.quorum.voters={','.join(self.voters)}"
        text = _PROPERTIES.format(
            node_id=self.node_id,
            port=self.port,
            controller=self.controller,
            folder=folder,
            replication=max(1, len(self.voters)),
        )
        return f"{text}{quorum}\n{self.more}"


def plans(count: int) -> list[Plan]:
    """`count` nodes of a new cluster."""
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    ports = free_ports(2 * count)
    pairs = list(zip(ports[::2], ports[1::2], strict=True))
    voters = [f"{at}@127.0.0.1:{controller}" for at, (_, controller) in enumerate(pairs, 1)] if count > 1 else []
    return [Plan(cluster, at, *pair, tuple(voters)) for at, pair in enumerate(pairs, 1)]


class KafkaCluster:
    """Nodes that tests may kill; they start together, for none is ready before most are."""

    def __init__(self, folder: Path, count: int) -> None:
        need("java", "mvn")
        jars(*_ARTIFACTS)
        with ThreadPoolExecutor(count) as starting:
            started = [starting.submit(KafkaNode, folder / str(plan.node_id), plan) for plan in plans(count)]
        self.nodes = [node.result() for node in started]
        self.brokers = Brokers(",".join(node.address for node in self.nodes))
        try:
            asyncio.run(answers(self.brokers.servers))
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """kill -9 for all of them."""
        for node in self.nodes:
            node.process.kill()

    def stop(self) -> None:
        """Asks all to end."""
        for node in self.nodes:
            node.process.stop()


async def answers(address: str) -> None:
    """Returns when a metadata request is answered: the open port comes a moment earlier."""
    async with asyncio.timeout(SOON_S):
        while True:
            admin = AIOKafkaAdminClient(bootstrap_servers=address.split(","))
            try:
                await admin.start()
                await admin.list_topics()
                return
            except (KafkaError, OSError):
                continue
            finally:
                await admin.close()


_IMAGE = f"apache/kafka:{VERSION}"
_CONTAINED = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_LISTENERS": "HOST://:9092,CONTROLLER://:9093,SELF://localhost:19092",
    "KAFKA_ADVERTISED_LISTENERS": "HOST://127.0.0.1:PORT,SELF://localhost:19092",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "HOST:PLAINTEXT,SELF:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "SELF",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
}


def _container() -> Iterator[tuple[str, str]]:
    with container(_IMAGE, 9092, "Kafka Server started", **_CONTAINED) as port:
        asyncio.run(answers(f"127.0.0.1:{port}"))
        yield f"127.0.0.1:{port}", f"{_IMAGE} in a container"


def _started(folder: Path) -> Iterator[tuple[str, str]]:
    cluster = KafkaCluster(folder, 1)
    try:
        yield cluster.brokers.servers, f"{VERSION}, started by the tests"
    finally:
        cluster.stop()


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
