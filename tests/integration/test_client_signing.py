"""A key of one's own: its file, the commands that make and show it, and a program that signs with it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import gridsignal
from gridsignal import MW, UsageError
from gridsignal.__main__ import main
from gridsignal.signing import make_key, public_key, signing_key
from gridsignal.testing import FakeGrid
from gridsignal_schemas.messages import BaselineDeclaration, FlexOffer, MeterReading, OfferWithdrawal, OrderResponse
from tests.patience import SOON_S


@pytest.fixture
def file(tmp_path: Path) -> Path:
    make_key(tmp_path / "acme.key.json", key_id="acme-1", audience="fake")
    return tmp_path / "acme.key.json"


def strict(file: Path) -> FakeGrid:
    """A grid that takes nothing that is not signed."""
    return FakeGrid(keys={"acme-1": public_key(signing_key(file))}, signatures="required")


def connected(fake: FakeGrid, **options: Any) -> gridsignal.connect:
    return gridsignal.connect(fake.url, token=fake.token, site="fra-1", outbox=":memory:", **options)


async def test_a_program_signs_all_that_it_sends_and_says_nothing_of_it_but_the_key(file: Path) -> None:
    async with strict(file) as fake, connected(fake, signing_key=file) as grid:
        request = fake.ask(5 * MW)
        await grid.declare_baseline(grid.now(), [40 * MW] * 96)
        await grid.offer(request, 5 * MW, price_per_mwh="90", offer_id="o-0")
        await grid.withdraw("o-0")
        await grid.offer(request, 5 * MW, price_per_mwh="90", offer_id="o-1")
        order = fake.award(await fake.next(FlexOffer, offer_id="o-1"))
        await grid.accept(order)
        now = grid.now()
        await grid.meter(meter="main", import_w=1, starts_at=now - timedelta(minutes=15), ends_at=now)
        for kind in (BaselineDeclaration, OrderResponse, MeterReading, OfferWithdrawal):
            assert await fake.next(kind)


async def test_without_the_key_the_first_message_is_refused_in_words(file: Path) -> None:
    async with strict(file) as fake, connected(fake) as grid:
        with pytest.raises(gridsignal.NotPermitted, match="SIGNATURE_REQUIRED at /signature: expected a signature"):
            await grid.offer(fake.ask(5 * MW), 5 * MW, price_per_mwh="90")


async def test_what_was_not_answered_is_signed_again_and_gets_one_receipt(file: Path) -> None:
    async with strict(file) as fake, connected(fake, signing_key=file) as grid:
        fake.hold_answers = True
        request = fake.ask(5 * MW)
        offering = asyncio.create_task(grid.offer(request, 5 * MW, price_per_mwh="90", offer_id="o-1"))
        first = await fake.next(FlexOffer)
        fake.hold_answers = False
        fake.break_lines()
        async with asyncio.timeout(SOON_S):
            receipt = await offering
        assert (receipt.offer_id, first.offer_id) == ("o-1", "o-1")


async def test_what_a_gateway_that_has_just_started_does_not_take_yet_is_signed_and_sent_again(file: Path) -> None:
    async with strict(file) as fake, connected(fake, signing_key=file) as grid:
        fake.refuse("signature_replayed", retriable=True, retry_after_ms=1)
        async with asyncio.timeout(SOON_S):
            await grid.declare_baseline(grid.now(), [40 * MW] * 96)
        assert await fake.next(BaselineDeclaration)


def test_the_key_itself_does_in_place_of_its_file(file: Path) -> None:
    jwk = json.loads(file.read_text("utf-8"))
    assert public_key(signing_key(jwk)) == public_key(signing_key(file))


@pytest.mark.parametrize("lacks", ["kid", "aud", "x", "d", "kty", "crv"])
def test_a_key_that_is_not_whole_is_refused_without_showing_it(file: Path, lacks: str) -> None:
    jwk = json.loads(file.read_text("utf-8"))
    secret = jwk["d"]
    del jwk[lacks]
    with pytest.raises(UsageError, match="expected a private JWK of kty OKP and crv Ed25519") as refused:
        signing_key(jwk)
    assert secret not in str(refused.value)


@pytest.mark.parametrize("kid", ["acme.1", "a b", "acme]", "x" * 65, "ä", "acme-1\n"])
def test_a_kid_that_no_registry_takes_is_refused_before_a_table_is_printed(
    file: Path, capsys: pytest.CaptureFixture[str], kid: str
) -> None:
    jwk = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(jwk | {"kid": kid}), "utf-8")
    capsys.readouterr()
    assert main(["key", "show", str(file)]) == 2
    said = capsys.readouterr()
    assert "kid: expected 1 to 64 letters, digits, - and _, got " in said.err
    assert said.out + jwk["d"] not in said.out + said.err
    with pytest.raises(UsageError, match="key_id: expected 1 to 64 letters"):
        make_key(file.with_name("other.json"), key_id=kid, audience="fake")
    assert not file.with_name("other.json").exists()


def test_a_file_that_others_can_read_is_refused_and_so_is_one_that_is_none(file: Path) -> None:
    file.chmod(0o640)
    with pytest.raises(UsageError, match=r"readable by its owner alone \(mode 0600\)"):
        signing_key(file)
    file.write_text("[" * 100_000, "utf-8")
    file.chmod(0o600)
    with pytest.raises(UsageError, match="expected a private JWK"):
        signing_key(file)
    with pytest.raises(UsageError, match=r"expected a key in .*missing, got: No such file"):
        gridsignal.connect("ws://127.0.0.1:1", token="x", site="fra-1", signing_key=file.with_name("missing"))


def test_the_command_makes_a_file_for_its_owner_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new.json"
    made = ["key", "new", "--for", "tso-north.example", "--kid", "k-1", "--out", str(file)]
    assert main([*made, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (file.stat().st_mode & 0o777, said["kid"], said["aud"]) == (0o600, "k-1", "tso-north.example")
    assert main(["key", "show", str(file)]) == 0
    shown = capsys.readouterr().out
    assert f'[participants.NAME.keys.k-1]\npublic_key = "{said["public_key"]}"' in shown
    assert json.loads(file.read_text("utf-8"))["d"] not in shown
    assert main(made) == 2
    assert "expected a file that is not there yet" in capsys.readouterr().err
