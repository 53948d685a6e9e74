"""`gridsignal audit`: a file proves its record with no service and no log, and a changed record is named."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gridsignal.__main__ import main
from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import Record, TreeHead
from gridsignal_services.access.signer import Signer
from gridsignal_services.bus import Log
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.merkle import Frontier
from gridsignal_services.tree_heads import signed_head
from tests.builders import a_dispatch_request, a_flex_offer, a_grid_clock, a_site_registration, utc

CODEC = Codec.from_lock()
OFFER = a_flex_offer()
SIGNED_AT = utc("18:00")
PARTITION = partition_of(OFFER.zone, TOPICS["dispatch"].partitions)


class Written:
    """A log in a folder, with a head after so many records as were asked for."""

    def __init__(self, directory: Path, log: Log, codec: Codec = CODEC) -> None:
        self.directory, self._log, self._codec = directory, log, codec
        self._tree, self.signer = Frontier(), Signer.create_or_open(directory)

    async def add(self, record: Record, principal: str = "service:dispatch") -> None:
        end = (await self._log.end_positions("dispatch"))[PARTITION]
        await publish(self._log, self._codec, record, principal=principal, source="/tests", partition=PARTITION)
        reader = await self._log.reader("dispatch", {PARTITION: end})
        self._tree.append(leaf_of((await reader.read(1))[0]))
        await reader.aclose()

    async def head(self, signed_at: datetime = SIGNED_AT) -> TreeHead:
        root, size = self._tree.root(), self._tree.size
        head = signed_head(PARTITION, size, root, log=self._log.epoch, signed_at=signed_at, signer=self.signer)
        await self.add(head)
        return head


async def a_log(directory: Path, more: int = 0) -> Written:
    log = await SqliteLog.open(directory)
    written = Written(directory, log)
    await written.add(a_site_registration())
    await written.add(a_dispatch_request(), "operator:tso-north")
    await written.add(OFFER, f"participant:{OFFER.participant}")
    await written.head()
    for number in range(more):
        await written.add(a_site_registration(site=f"acme-{number}"))
    if more:
        await written.head()
    await log.aclose()
    return written


def done(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = main(["audit", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out + said.err


def result(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    return json.loads(done(capsys, *words, "--json")[1])


def change(directory: Path, offset: int, sql: str) -> None:
    with sqlite3.connect(directory / "log.db") as log:
        changed = log.execute(
            f"UPDATE records SET {sql} WHERE place = "
            "(SELECT (topic << 12 | ?) << 40 | ? FROM topics WHERE name = 'gridsignal.dispatch')",
            (PARTITION, offset),
        )
        assert changed.rowcount == 1
    log.close()


async def test_an_offer_is_proved_by_its_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written, file = await a_log(tmp_path / "log"), tmp_path / "offer.json"
    code, said = done(capsys, "prove", "offer", OFFER.offer_id, "--directory", written.directory, "--out", file)
    assert code == 0, said
    (tmp_path / "log").rename(tmp_path / "elsewhere")
    code, said = done(capsys, "verify", file, "--key", written.signer.public_key)
    assert code == 0, said
    assert "a FlexOffer at offset 2, by participant:acme" in said
    assert OFFER.offer_id in said
    (proved,) = result(capsys, "verify", file)["files"]
    assert proved["record"] == {"FlexOffer": OFFER.model_dump(mode="json")}


async def test_a_file_that_was_changed_proves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written, file = await a_log(tmp_path / "log"), tmp_path / "offer.json"
    done(capsys, "prove", "--partition", PARTITION, "--offset", 2, "--directory", written.directory, "--out", file)
    evidence = json.loads(file.read_text("utf-8"))
    evidence["record"]["appended_us"] -= 1
    file.write_text(json.dumps(evidence), "utf-8")
    code, said = done(capsys, "verify", file, "--key", written.signer.public_key)
    assert code == 1
    assert "not proven" in said
    assert "the record at offset 2 is not under the head of size 3" in said
    file.write_text("{}", "utf-8")
    assert done(capsys, "verify", file)[0] == 1


async def test_a_key_that_is_not_the_operators_proves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written, file = await a_log(tmp_path / "log"), tmp_path / "offer.json"
    done(capsys, "prove", "offer", OFFER.offer_id, "--directory", written.directory, "--out", file)
    code, said = done(capsys, "verify", file, "--key", "00" * 32)
    assert (code, "signed with a key that is not known" in said) == (1, True)
    registry = tmp_path / "sites.toml"
    registry.write_text(
        '[zones.DE-LU]\ncurrency = "EUR"\ntimezone = "Europe/Berlin"\n'
        f'[signers.tso]\npublic_key = "{written.signer.public_key}"\nvalid_until = 2024-01-01T00:00:00Z\n',
        "utf-8",
    )
    code, said = done(capsys, "verify", file, "--registry", registry)
    assert (code, "signed with a key that was not valid at" in said) == (1, True)
    registry.write_text(registry.read_text("utf-8").replace("2024", "2044"), "utf-8")
    assert done(capsys, "verify", file, "--registry", registry)[0] == 0


async def test_a_newer_head_extends_one_that_somebody_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older, newer = tmp_path / "older.json", tmp_path / "newer.json"
    first = await a_log(tmp_path / "log")
    assert done(capsys, "head", "--partition", PARTITION, "--directory", first.directory, "--out", older)[0] == 0
    log = await SqliteLog.open(first.directory)
    first._log = log
    for number in range(5):
        await first.add(a_site_registration(site=f"acme-{number}"))
    await first.head()
    await log.aclose()
    assert done(capsys, "head", "--since", older, "--directory", first.directory, "--out", newer)[0] == 0
    code, said = done(capsys, "verify", older, newer, "--key", first.signer.public_key)
    assert code == 0, said
    assert "which extends the head of size 3" in said
    code, said = done(capsys, "verify", newer, older)
    assert (code, "expected the older head first" in said) == (1, True)


async def test_the_newest_head_is_enough_where_it_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = await a_log(tmp_path / "log")
    written._log = log = await SqliteLog.open(written.directory)
    await written.add(a_site_registration(site="acme-2"))
    await written.head()
    await log.aclose()
    asked = ("prove", "--partition", PARTITION, "--offset", 1, "--directory", written.directory)
    assert done(capsys, *asked)[0] == 0
    change(written.directory, 3, "headers = 'of an older head, and no JSON'")
    code, said = done(capsys, *asked)
    assert code == 0, said


@pytest.mark.parametrize(
    "sql",
    [
        "appended_us = appended_us + 1",
        "headers = replace(headers, 'participant:acme', 'participant:volt')",
        "value = CAST(substr(value, 1, 20) || x'00' || substr(value, 22) AS BLOB)",
    ],
)
async def test_a_record_that_was_changed_on_the_log_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sql: str
) -> None:
    written = await a_log(tmp_path / "log", more=300)
    place = ("--partition", PARTITION, "--offset")
    assert done(capsys, "prove", *place, 1, "--directory", written.directory)[0] == 0
    change(written.directory, 2, sql)
    code, said = done(capsys, "prove", *place, 2, "--directory", written.directory)
    assert code == 1
    assert "the record at offset 2" in said
    assert done(capsys, "prove", *place, 1, "--directory", written.directory)[0] == 0, "the others still prove"


async def test_a_log_changed_before_its_hashes_were_kept_proves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = await a_log(tmp_path / "log", more=3)
    change(written.directory, 2, "appended_us = appended_us + 1")
    code, said = done(capsys, "prove", "--partition", PARTITION, "--offset", 1, "--directory", written.directory)
    assert code == 1
    assert f"partition {PARTITION} was changed" in said


async def test_what_can_not_be_proved_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = await a_log(tmp_path / "log")
    here = ("--directory", written.directory)
    assert "there is no such offer on the log: nope" in done(capsys, "prove", "offer", "nope", *here)[1]
    code, said = done(capsys, "prove", "--partition", PARTITION, "--offset", 3, *here)
    assert (code, "no head covers the record at offset 3 yet" in said) == (1, True)
    code, said = done(capsys, "prove", "--partition", PARTITION, "--offset", 9, *here)
    assert (code, "expected an offset of partition" in said) == (1, True)
    code, said = done(capsys, "head", "--partition", (PARTITION + 1) % 6, *here)
    assert (code, "has no head" in said) == (1, True)
    assert done(capsys, "prove", "offer", *here)[0] == 2
    assert done(capsys, "prove", "offer", OFFER.offer_id, "--directory", tmp_path / "nowhere")[0] == 2
    assert done(capsys, "key", *here)[1].startswith(written.signer.public_key)


async def test_what_the_ledger_took_is_proved_and_what_it_ignored_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "log"
    log, asked = await SqliteLog.open(directory), a_dispatch_request()
    written = Written(directory, log)
    for record, principal in [
        (a_grid_clock(origin=utc("12:00"), rate=1e-9, epoch=utc("12:00")), "service:dispatch"),  # it stands still
        (a_site_registration(), "service:dispatch"),
        (asked, "operator:tso-north"),
        (OFFER, f"participant:{OFFER.participant}"),
        (OFFER.model_copy(update={"revision": 3}), f"participant:{OFFER.participant}"),
        (asked, "operator:tso-north"),  # again, as a publisher does that saw no receipt
        (asked.model_copy(update={"revision": 3}), "operator:tso-north"),  # there is no second one
    ]:
        await written.add(record, principal)
    await written.head()
    await log.aclose()

    def proved(*words: object) -> tuple[Any, str]:
        file = tmp_path / "proof.json"
        code, said = done(capsys, "prove", *words, "--directory", directory, "--out", file)
        assert code == 0, said
        (shown,) = result(capsys, "verify", file)["files"]
        return shown, said

    shown, said = proved("request", asked.request_id)
    assert (shown["offset"], shown["record"]["DispatchRequest"]["revision"]) == (2, 1)
    assert "ignored" not in said
    assert proved("offer", OFFER.offer_id)[0]["offset"] == 3
    shown, said = proved("request", asked.request_id, "--revision", 3)
    assert shown["offset"] == 6
    assert "it was ignored (REVISION): this shows that it was said, not that it holds" in said
    assert "it was ignored (" in proved("offer", OFFER.offer_id, "--revision", 3)[1]
    assert "it repeats an earlier one, which counts" in proved("--partition", PARTITION, "--offset", 5)[1]
    code, said = done(capsys, "prove", "request", asked.request_id, "--revision", 2, "--api", "http://127.0.0.1:1")
    assert (code, "expected --revision with a log" in said) == (2, True)
