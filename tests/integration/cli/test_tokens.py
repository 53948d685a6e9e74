"""`gridsignal token`: for whom there is, for as long as doors take, and revoked where the doors look."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import httpx2
import pytest

from gridsignal_services.access.issuer import AUDIENCE, ISSUER, LocalIssuer
from gridsignal_services.access.revocations import Revocations
from gridsignal_services.access.tokens import TokenRules, Verifier
from tests.integration.cli.conftest import ran, running
from tests.patience import SOON_S
from tests.unit.access.test_tokens import LOCAL, NOW, claims, signed


@pytest.fixture
def issuer(tmp_path: Path) -> Path:
    LocalIssuer.create_or_open(tmp_path / "issuer")
    return tmp_path


@pytest.mark.parametrize("who", [["--participant", "nobody"], ["--operator", "acme-ai"]])
def test_a_token_for_nobody_is_refused_unless_it_is_forced(issuer: Path, who: list[str]) -> None:
    told = ran(["token", "mint", *who], GRIDSIGNAL_DIRECTORY=str(issuer))
    assert (told.code, told.out) == (2, "")
    assert f"{who[1]!r} is no {who[0][2:]} of the shipped example registry" in told.err
    forced = ran(["token", "mint", *who, "--force"], GRIDSIGNAL_DIRECTORY=str(issuer))
    assert (forced.code, forced.err, forced.out.count(".")) == (0, "", 2)
    file = issuer / "sites.toml"
    file.write_text('[zones.FR]\ncurrency = "EUR"\ntimezone = "Europe/Paris"\n[operators.me]\nzones = ["FR"]\n')
    refused = ran(["token", "mint", *who, "--registry", str(file)], GRIDSIGNAL_DIRECTORY=str(issuer))
    assert (refused.code, refused.out) == (2, "")
    known = ran(["token", "mint", "--operator", "me", "--registry", str(file)], GRIDSIGNAL_DIRECTORY=str(issuer))
    assert (known.code, known.err) == (0, "")


def test_a_token_that_no_door_would_take_is_not_minted(issuer: Path) -> None:
    mint = ["token", "mint", "--participant", "acme-ai", "--for"]
    wrong = ran([*mint, "32d"], GRIDSIGNAL_DIRECTORY=str(issuer))
    assert (wrong.code, wrong.err) == (2, "gridsignal: --for: expected at most 31d, for no door takes more\n")
    assert ran([*mint, "31d"], GRIDSIGNAL_DIRECTORY=str(issuer)).code == 0
    longer = {"GRIDSIGNAL_DIRECTORY": str(issuer), "GRIDSIGNAL_MAX_TOKEN_LIFE_S": str(40 * 86_400)}
    assert ran([*mint, "32d"], **longer).code == 0


@pytest.mark.parametrize("stdin", ["", "a.b", "a.!!.c", "a.W10.c", "a.e30.c", "a.eyJqdGkiOjV9.c"])
def test_what_is_no_token_is_not_revoked(tmp_path: Path, stdin: str) -> None:
    file = tmp_path / "revoked.toml"
    assert ran(["token", "revoke", "--file", str(file)], stdin).code == 2
    assert not file.exists()


@pytest.mark.parametrize("jti", [{"jti": "a"}, {"jti": ""}, {}])
@pytest.mark.parametrize("claim", ["org", "https://grid.example/org"])
def test_a_revoked_token_is_revoked_and_no_other_organisations(tmp_path: Path, jti: dict[str, str], claim: str) -> None:
    file = tmp_path / "revoked.toml"
    rules = TokenRules(organisation_claim=claim)
    verifier = Verifier(LOCAL.jwks, ISSUER, AUDIENCE, rules)
    mine, others = (signed(claims(sub="svc", **given)) for given in (jti | {claim: "acme-ai"}, {claim: "volt"}))
    done = ran(["token", "revoke", "--file", str(file)], mine, GRIDSIGNAL_ORGANISATION_CLAIM=claim)
    assert (done.code, "every token of that sub" in done.err) == (0, jti != {"jti": "a"})
    revocations = Revocations.parse(file.read_text())
    assert [revocations.cover(verifier.verify(token, NOW)) for token in (mine, others)] == [True, False]


def test_a_file_with_a_mistake_is_left_as_it_is(issuer: Path) -> None:
    token = ran(["token", "mint", "--participant", "acme-ai"], GRIDSIGNAL_DIRECTORY=str(issuer)).out
    file = issuer / "revoked.toml"
    file.write_text('[[revoked]]\njit = "a"\n')
    refused = ran(["token", "revoke", "--file", str(file)], token)
    assert (refused.code, file.read_text()) == (2, '[[revoked]]\njit = "a"\n')


def test_a_revoked_token_is_refused_by_a_running_stack_that_is_told(tmp_path: Path) -> None:
    file = tmp_path / "revoked.toml"
    file.write_text("# nobody yet\n")
    with running(tmp_path / "stack", GRIDSIGNAL_REVOCATIONS=str(file), GRIDSIGNAL_WATCH_FILES_S="3600") as stack:
        token = stack.towards()["GRIDSIGNAL_TOKEN"]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=stack.api, headers=headers, timeout=SOON_S) as desk:
            assert desk.get("/v1/requests").status_code == 200
            done = ran(["token", "revoke", "--reason", 'a "test"'], token, GRIDSIGNAL_REVOCATIONS=str(file))
            assert (done.code, done.out.splitlines()[0]) == (0, "[[revoked]]")
            stack.process.send_signal(signal.SIGHUP)
            while desk.get("/v1/requests").status_code != 401:
                pass  # each look is a round trip; the client's timeout bounds them, and pytest's the test
    assert file.read_text().startswith("# nobody yet\n")
    Revocations.parse(file.read_text())
    assert token not in file.read_text()
    assert json.dumps('a "test"') in file.read_text()
