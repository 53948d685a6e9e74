"""kill -9 of the embedded process at any time loses no received offer and repeats none."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from websockets.exceptions import ConnectionClosed, InvalidMessage

from gridsignal_schemas.messages import FlexOffer, Record
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec, sha256_of
from gridsignal_services.bus.sqlite import SqliteLog
from tests.builders import a_flex_offer, a_flexibility, an_option
from tests.integration.gateway_stand import Client, open_client
from tests.patience import LONG_S, SOON_S
from tests.services.process import free_ports

KILLS = 3
KNOWN = {"offer_id", "zone", "participant", "site"}
"""Fields of an offer that the frame or the gateway says."""
SEED = 20240512
GONE = (ConnectionClosed, InvalidMessage, OSError, EOFError)


class Up:
    """`gridsignal up` in a process of its own."""

    def __init__(self, directory: Path, *program: str, ports: Sequence[int] = ()) -> None:
        """`program` runs its command line in place of gridsignal."""
        self.directory, self._program = directory, program or ("-m", "gridsignal")
        self.gateway_port, self.dispatch_port = self.ports = tuple(ports) or tuple(free_ports(2))

    @property
    def command(self) -> list[str]:
        """Its command line."""
        ports = {"gateway": self.gateway_port, "dispatch": self.dispatch_port, "ingest": 0, "ops": 0}
        told = [word for door, port in ports.items() for word in (f"--{door}-port", str(port))]
        return [sys.executable, *self._program, "up", "--directory", str(self.directory), *told]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """From its last line of greeting to its violent end."""
        process = await asyncio.create_subprocess_exec(
            *self.command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(SOON_S):
                told = b""
                while not (line := await process.stdout.readline()).startswith(b"running"):
                    told += line
                    assert line, f"it ended before it ran: {told.decode()}"
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def token(self, who: str) -> str:
        return (self.directory / "tokens" / f"{who}.token").read_text("ascii").strip()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        url = f"ws://127.0.0.1:{self.gateway_port}/v1/stream"
        async with open_client(url, self.token("participant-acme-ai")) as client:
            client.welcome = await client.hello(site="fra-1")
            yield client


def an_offer_now(offer_id: str) -> FlexOffer:
    """Whether it is any good is decided later: received means logged."""
    starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    ends_at = starts_at + timedelta(minutes=45)
    option = an_option(starts_at=starts_at, ends_at=ends_at)
    shed = a_flexibility(kind="SHED", complete_by=None, rebound=None)
    return a_flex_offer(offer_id=offer_id, options=[option], flexibility=shed, expires_at=ends_at)


class Offering:
    """Offers without end, and what was answered."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.receipts: dict[str, str] = {}
        self.enough = asyncio.Event()

    async def go_on(self, client: Client) -> None:
        """Until the connection dies. `enough` is set once some have been received."""
        first = len(self.receipts)
        with suppress(*GONE):
            while True:
                offer = an_offer_now(f"offer-{len(self.sent)}")
                self.sent.append(offer.offer_id)
                body = offer.model_dump(mode="json", exclude_none=True, exclude=KNOWN)
                await client.send({"t": "offer", "offer_id": offer.offer_id, "body": body})
                answer = await client.until(lambda frame: frame["t"] in ("received", "refused", "error"))
                assert answer["t"] == "received", answer
                self.receipts[offer.offer_id] = answer["receipt"]["sha256"]
                if len(self.receipts) >= first + 5:
                    self.enough.set()


class Subscriber:
    """Hears what became of the offers, and goes on where the last process was killed."""

    def __init__(self) -> None:
        self.decided: list[str] = []
        self._cursor: dict[str, str] = {}

    async def listen(self, client: Client, until: set[str] | None = None) -> None:
        """Until the connection dies, or all of `until` are decided."""
        with suppress(*GONE):
            subscription = {"t": "subscribe", "stream": "dispatch", "filter": {"zones": ["DE-LU"]}, "mode": "every"}
            await client.send(subscription | (self._cursor or {"snapshot": True}))
            while until is None or not until <= set(self.decided):
                frame = await client.receive()
                assert frame["t"] not in ("gap", "error"), frame
                if "cursor" in frame:
                    self._cursor = {"cursor": frame["cursor"]}
                if frame["t"] == "signal" and frame["type"] == "OfferDecision":
                    self.decided.append(frame["body"]["offer_id"])


async def logged(directory: Path) -> list[tuple[LogRecord, Record]]:
    """The dispatch stream from its beginning."""
    log, codec = await SqliteLog.open(directory), Codec.from_lock()
    try:
        end, found = await log.end_positions("dispatch"), []
        left = {p: at for p, at in (await log.start_positions("dispatch")).items() if at < end[p]}
        reader = await log.reader("dispatch", left)
        while any(reader.positions[p] < end[p] for p in left):
            found += [(record, codec.decode(record.value)) for record in await reader.read()]
        await reader.aclose()
        return found
    finally:
        await log.aclose()


async def test_kill_nine_loses_no_received_offer_and_repeats_none(tmp_path: Path) -> None:
    up, offering, subscriber, chance = Up(tmp_path), Offering(), Subscriber(), random.Random(SEED)
    for _ in range(KILLS):
        async with asyncio.timeout(LONG_S), up.running() as process, up.client() as client, up.client() as ear:
            offering.enough.clear()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(subscriber.listen(ear))
                tasks.create_task(offering.go_on(client))
                await offering.enough.wait()
                asyncio.get_running_loop().call_later(chance.uniform(0, 0.3), process.kill)
    async with asyncio.timeout(LONG_S), up.running(), up.client() as ear:
        await subscriber.listen(ear, until=set(offering.receipts))
    assert len(offering.receipts) >= 5 * KILLS
    found = [(r.offer_id, sha256_of(at.value)) for at, r in await logged(tmp_path) if isinstance(r, FlexOffer)]
    times = Counter(offer_id for offer_id, _ in found)
    assert max(times.values()) == 1
    assert set(times) <= set(offering.sent)
    assert offering.receipts.items() <= dict(found).items()
    assert max(Counter(subscriber.decided).values()) == 1
