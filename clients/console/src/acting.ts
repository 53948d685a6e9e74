// What is done on behalf of who is signed in: asked at the doors, told to the gateway, looked up.

import type { Alert, Proof } from "./answers";
import { gridNow } from "./clock";
import { Refused, ask, file, say, visit } from "./doors";
import { findMonth, pageOf } from "./past";
import { refresh, said, signOut, watchAgain } from "./session";
import { change, state } from "./state";
import { alerted } from "./watching";

/** How long a browser may take to begin saving a file. */
const REVOKED_MS = 60_000;

/** Asks for something to be done; what was refused is said, and null is returned for what was not done. */
export async function act(path: string, body: unknown, { method = "POST", headers = {} }: { method?: string; headers?: Record<string, string> } = {}): Promise<unknown> {
  return done((token) => ask<unknown>(path, token, { method, body, headers }));
}

/** Says of an alert what a site does about it; null where that was refused. */
export async function acknowledge(alert: Alert, site: string, word: string, reason: string): Promise<unknown> {
  const { provider, zone, alert_id, revision } = alert;
  const at = new Date(gridNow()).toISOString();
  const said = { zone, provider, alert_id, revision, state: word, actor: state().me?.subject ?? "", reason_code: "operator", reason, at };
  const heard = await done((token) => say(state().me?.gateway ?? "", token, site, { t: "acknowledge", body: said }).then(() => true));
  if (heard) watchAgain();
  return heard;
}

/** Says something for a site at the gateway and looks again at what it was about; null where it was refused. */
export async function tell(site: string, request: string, frame: object): Promise<unknown> {
  const heard = await done((token) => say(state().me?.gateway ?? "", token, site, frame).then(() => true));
  if (heard) await refresh(request);
  return heard;
}

/** Issues an alert at the ingest door, or ends it now; null where that was refused. */
export async function pushAlert(alert: Alert, isOver: boolean): Promise<unknown> {
  const { revision: _, provider: __, ...said } = alert as unknown as Record<string, unknown>;
  const now = new Date(gridNow()).toISOString();
  const starts = String(said.starts_at);
  const end = isOver ? { starts_at: Date.parse(starts) < gridNow() ? starts : now, ends_at: now } : {};
  const body = Object.fromEntries(Object.entries({ ...said, ...end }).filter(([, value]) => value != null));
  const pushed = await act(`${state().me?.ingest ?? ""}/v1/signals/alerts`, body);
  if (pushed && !isOver) alerted(alert);
  return pushed;
}

/** Saves what the door writes as a file of this name. */
export async function save(path: string, type: string, name: string): Promise<void> {
  const found = (await done((token) => file(path, token, type))) as Blob | null;
  if (found) saved(found, name);
}

/** Saves what `gridsignal audit verify` checks: that the record lies in the log as it is shown. */
export async function saveProof(kind: "offer" | "order", id: string, more = ""): Promise<void> {
  const proof = (await done((token) => ask<Proof>(`/v1/proofs?kind=${kind}&id=${encodeURIComponent(id)}${more}`, token))) as Proof | null;
  if (proof) saved(new Blob([JSON.stringify(proof.evidence)], { type: "application/json" }), `proof-${kind}-${id}.json`);
}

function saved(found: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(found);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKED_MS);
  change({ notice: `Saved ${name}.` });
}

/** One record with what proves it. */
export async function prove(asked: Record<string, string>): Promise<void> {
  const named = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  change({ proof: null });
  const proof = await done((token) => ask<Proof>(`/v1/proofs?${named}`, token));
  if (proof) change({ proof: proof as Proof });
}

/** Goes to what has this id, or lists a month's orders. */
export async function find(month: string, id: string, timezone: string): Promise<void> {
  const page = await done((token) => (id ? pageOf(id, token) : findMonth(month, timezone, token)));
  if (typeof page === "string") location.hash = page;
}

async function done(work: (token: string) => Promise<unknown>): Promise<unknown> {
  const { token } = state();
  if (!token) return null;
  const mine = visit();
  change({ busy: true, problem: [] });
  try {
    const answer = await work(token);
    if (mine !== visit()) return null;
    change({ busy: false });
    return answer;
  } catch (fault) {
    if (mine !== visit()) return null;
    if (fault instanceof Refused && fault.status === 401) signOut(fault.sentences.join(" "));
    else change({ busy: false, problem: said(fault) });
    return null;
  }
}
