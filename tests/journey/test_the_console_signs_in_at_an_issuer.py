"""Signing in with OpenID Connect: a real provider (npm: oidc-provider), a real Chromium, the doors as they are."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.browser import CONSOLE, from_npm
from tests.journey.looking import has_no_barrier, looking
from tests.patience import SOON_S

TOKEN = "sessionStorage.getItem('gridsignal.token')"

AWAY_ONCE = """void (window.renewals = 0, window.fetch = ((real) => (url, ...more) => {
  if (String(url).endsWith("/token") && ++window.renewals === 1) return Promise.reject(new TypeError("away"));
  return real(url, ...more);
})(window.fetch))"""


@asynccontextmanager
async def a_provider(life_s: int = 3600, algorithm: str = "RS256") -> AsyncIterator[str]:
    """Its issuer."""
    from_npm("oidc-provider/package.json")
    node = shutil.which("node") or pytest.skip("needs node")
    quiet, heard = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    command = [node, "provider.mjs", str(life_s), algorithm]
    process = await asyncio.create_subprocess_exec(*command, cwd=CONSOLE, stdout=heard, stderr=quiet)
    assert process.stdout is not None, "it is piped"
    try:
        async with asyncio.timeout(SOON_S):
            while not (issuer := (await process.stdout.readline()).decode().strip()).startswith("http"):
                assert process.returncode is None, "the provider ended"
        yield issuer
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def signing_in(issuer: str, **more: Any) -> dict[str, Any]:
    """The settings of doors that take this issuer's tokens."""
    return {"issuer": issuer, "jwks_url": f"{issuer}/jwks", "console_client": "console", "token_clients": "console"} | {
        "console_scope": "openid signal:read dispatch:write",
        **more,
    }


async def test_who_signs_in_at_a_provider_comes_back_where_they_were_with_a_token_that_is_renewed(
    tmp_path: Path,
) -> None:
    async with a_provider(life_s=40) as issuer, looking(tmp_path, **signing_in(issuer)) as (world, chromium):
        page = await chromium.page(f"{world.stack.api_url}/console#/new")
        host = issuer.removeprefix("http://")
        await page.says(f"Sign in at {host}", "Or with a token:")
        await has_no_barrier(page)
        await page.press(f"Sign in at {host}")
        await page.press("I am control-room")
        await page.press("Allow it")
        await page.says("New request", "Power, MW", "● live", "tso-north")
        assert await page.js("location.hash") == "#/new", "where they were before"
        assert await page.js("sessionStorage.length") == 1, "the token alone is kept"
        door = [url for url in page.asked if url.startswith(world.stack.api_url)]
        assert not any("code=" in url.partition("#")[0] for url in door), "no code is told to the door"
        await page.js(AWAY_ONCE)
        first = await page.js(TOKEN)
        await page.until(f"{TOKEN} && {TOKEN} !== {first!r}")
        assert await page.js("window.renewals") == 2, "the issuer was away once"
        await page.says("● live")
        assert page.faults == []


async def test_an_answer_that_this_tab_did_not_ask_for_and_a_token_of_another_client_let_nobody_in(
    tmp_path: Path,
) -> None:
    elsewhere = {"token_clients": "another"}
    async with (
        a_provider(algorithm="ES256") as issuer,
        looking(tmp_path, **signing_in(issuer, **elsewhere)) as (world, chromium),
    ):
        page = await chromium.page(f"{world.stack.api_url}/console#code=stolen&state=guessed")
        await page.says("This sign-in was not begun in this tab: begin anew.")
        assert not any("/token" in url for url in page.asked)
        await page.press(f"Sign in at {issuer.removeprefix('http://')}")
        await page.press("I am control-room")
        await page.press("Allow it")
        await page.says("expected a valid bearer token")
        assert await page.js("sessionStorage.length") == 0
