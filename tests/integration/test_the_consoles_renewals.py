"""The console's part that asks the issuer, run by node: what comes for somebody who has left is nobody's."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.browser import CONSOLE, from_npm
from tests.patience import LONG_S

STORY = """
import { build } from "esbuild";
const { outputFiles } = await build({ entryPoints: ["src/oidc.ts"], bundle: true, format: "esm", write: false });
const at = { issuer: "http://issuer", endpoint: "http://issuer/token", client_id: "c" };
const started = { ...at, verifier: "v", state: "s", route: "" };
globalThis.location = new URL("http://door/console#state=s&code=c");
globalThis.history = { replaceState() {} };
globalThis.sessionStorage = { getItem: () => JSON.stringify(started), removeItem() {} };
const waiting = [];
globalThis.fetch = () => new Promise((told) => waiting.push(told));
const answer = (n) => waiting.shift()(Response.json({ access_token: `access-${n}`, refresh_token: `refresh-${n}` }));
const oidc = await import("data:text/javascript;base64," + Buffer.from(outputFiles[0].contents).toString("base64"));
const told = [];
const asked = async (work, n) => {
  const coming = work();
  if (n) answer(n);
  told.push(await coming);
};
await asked(oidc.backFromIssuer, 1);
await asked(oidc.renewed, 2);
await asked(() => { const coming = oidc.renewed(); oidc.forgetIssuer(); return coming; }, 3);
await asked(oidc.renewed, 0);
console.log(JSON.stringify([...told, waiting.length]));
"""


def test_an_answer_to_somebody_who_has_left_renews_nobody() -> None:
    from_npm("esbuild/package.json")
    node = shutil.which("node") or pytest.skip("needs node")
    command = [node, "--input-type=module", "-e", STORY]
    told = subprocess.run(command, cwd=CONSOLE, check=True, capture_output=True, text=True, timeout=LONG_S).stdout
    assert json.loads(told) == ["access-1", "access-2", None, None, 0]
