"""The console's parts that ask the doors and the issuer, run by node: what comes for who has left is nobody's."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.browser import CONSOLE, from_npm
from tests.patience import LONG_S

RENEWALS = """
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


LOADS = """
import { build } from "esbuild";
const contents = 'export * from "./src/session"; export { state } from "./src/state";';
const stdin = { contents, resolveDir: "." };
const { outputFiles } = await build({ stdin, bundle: true, format: "esm", write: false });
globalThis.window = globalThis;
globalThis.document = { hidden: true };
globalThis.location = new URL("http://door/console");
globalThis.sessionStorage = { getItem() {}, setItem() {}, removeItem() {} };
let asked = [];
globalThis.fetch = (_, { headers }) => new Promise((told) => asked.push({ who: headers.Authorization, told }));
const turn = () => new Promise((told) => setImmediate(told));
const mine = (who) => asked.filter((each) => each.who === `Bearer ${who}`);
const take = (who) => { const found = mine(who); asked = asked.filter((each) => !found.includes(each)); return found; };
const me = { role: "operator", organisation: "o", zones: [], sites: [], scopes: [], gateway: null, ingest: null,
  rate: 1, now: "2024-05-12T12:00:00Z", token_expires_at: "2024-05-12T13:00:00Z" };
const lists = { next: null, orders: [], settlements: [], offers: [], alerts: [] };
const page = (who) => ({ ...lists, requests: [{ request: { request_id: who } }] });
const session = await import("data:text/javascript;base64," + Buffer.from(outputFiles[0].contents).toString("base64"));
const comes = async (who) => {
  const coming = session.signIn(who);
  take(who)[0].told(Response.json(me));
  await coming;
};
const seen = () => {
  const { token, requests, loaded, notice } = session.state();
  return [token, Object.keys(requests), loaded, notice];
};
const told = [];

await comes("one");
const [first, second, ...others] = take("one");
session.signOut();
first.told(Response.json(page("one")));
for (let turns = 0; turns < 20; turns++) await turn();
told.push(seen());

await comes("two");
second.told(Response.json({ detail: "expired" }, { status: 401 }));
for (let turns = 0; !session.state().loaded; turns++) {
  if (turns > 10_000) throw new Error("what was answered is not drawn");
  for (const each of take("two")) each.told(Response.json(page("two")));
  await turn();
}
for (const each of others) each.told(Response.json(page("one")));
for (let turns = 0; turns < 20; turns++) await turn();
told.push([others.length > 0, ...seen()]);
session.signOut();
console.log(JSON.stringify(told));
process.exit();
"""


def told_by(story: str) -> object:
    from_npm("esbuild/package.json")
    node = shutil.which("node") or pytest.skip("needs node")
    command = [node, "--input-type=module", "-e", story]
    return json.loads(
        subprocess.run(command, cwd=CONSOLE, check=True, capture_output=True, text=True, timeout=LONG_S).stdout
    )


def test_an_answer_to_somebody_who_has_left_renews_nobody() -> None:
    assert told_by(RENEWALS) == ["access-1", "access-2", None, None, 0]


def test_what_was_loaded_for_somebody_who_has_left_is_drawn_for_nobody_and_signs_nobody_out() -> None:
    assert told_by(LOADS) == [[None, [], False, ""], [True, "two", ["two"], True, ""]]
