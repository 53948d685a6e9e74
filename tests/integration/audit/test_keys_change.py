"""A signer's key changes: heads of before verify by the key that was valid then, those of after by the new one."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gridsignal.__main__ import main
from gridsignal_schemas.values import rfc3339
from gridsignal_services.access.signer import FILE, Signer
from gridsignal_services.bus.sqlite import SqliteLog
from tests.builders import a_site_registration, utc
from tests.integration.audit.test_audit_commands import PARTITION, Written, done, result

CHANGE = utc("18:00")
SECOND = timedelta(seconds=1)


class Rotated(Written):
    """A log whose owner signs with one key, and with another later."""

    signed_at: datetime = CHANGE - SECOND

    def change_key(self) -> None:
        (self.directory / FILE).rename(self.directory / f"{FILE}.old")
        self.signer, self.signed_at = Signer.create_or_open(self.directory), CHANGE


async def a_log_of_two_keys(directory: Path) -> tuple[str, str]:
    log = await SqliteLog.open(directory)
    written, keys = Rotated(directory, log), list[str]()
    for at in range(2):
        await written.add(a_site_registration(site=f"acme-{at}"))
        await written.head(written.signed_at)
        keys.append(written.signer.public_key)
        place = directory.with_name(f"head-{at}.json")
        assert (
            main(["audit", *map(str, ("head", "--partition", PARTITION, "--directory", directory, "--out", place))])
            == 0
        )
        if at == 0:
            written.change_key()
    await log.aclose()
    return keys[0], keys[1]


def a_registry(file: Path, *signers: str) -> Path:
    named = "".join(f"[signers.key-{at}]\n{signer}\n" for at, signer in enumerate(signers))
    file.write_text(f'[zones.DE-LU]\ncurrency = "EUR"\ntimezone = "Europe/Berlin"\n{named}', "utf-8")
    return file


def signer(key: str, *, since: datetime | None = None, until: datetime | None = None) -> str:
    lines = [f'public_key = "{key}"']
    lines += [] if since is None else [f"valid_from = {rfc3339(since)}"]
    lines += [] if until is None else [f"valid_until = {rfc3339(until)}"]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("moved_s", "proves"),
    [
        pytest.param(0, (True, True), id="changed when the registry says so"),
        pytest.param(-2, (False, True), id="the old one had expired"),
        pytest.param(1, (True, False), id="the new one was not valid yet"),
    ],
)
async def test_heads_of_before_and_after_verify_by_the_key_of_their_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], moved_s: int, proves: tuple[bool, bool]
) -> None:
    old, new = await a_log_of_two_keys(tmp_path / "log")
    at = CHANGE + moved_s * SECOND
    registry = a_registry(tmp_path / "sites.toml", signer(old, until=at), signer(new, since=at))
    capsys.readouterr()
    for number, holds in enumerate(proves):
        code, said = done(capsys, "verify", tmp_path / f"head-{number}.json", "--registry", registry)
        assert (code == 0, "signed with a key that was not valid at" in said) == (holds, not holds), said
    found = result(capsys, "verify", tmp_path / "log", "--registry", registry)
    assert found["proven"] == all(proves)
    assert found["partitions"][0]["signers"] == {old: 1, new: 1}


async def test_who_takes_the_old_key_out_of_the_registry_can_verify_nothing_of_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, new = await a_log_of_two_keys(tmp_path / "log")
    registry = a_registry(tmp_path / "sites.toml", signer(new))
    capsys.readouterr()
    code, said = done(capsys, "verify", tmp_path / "head-0.json", "--registry", registry)
    assert (code, "signed with a key that is not known" in said) == (1, True)
    assert done(capsys, "verify", tmp_path / "head-1.json", "--registry", registry)[0] == 0
