// The REST door: one question, one answer, and a sentence for what was refused.

import { visible } from "./words";

/** What a door refused, in its own words (RFC 9457). */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly sentences: string[],
  ) {
    super(sentences.join(" "));
  }
}

/** What was asked for somebody who has left meanwhile: nobody's answer. */
export class Left extends Error {}

let visits = 0;

/** Who looks: another number once they have left, or somebody else has come. */
export const visit = (): number => visits;
export const otherVisit = (): number => ++visits;

interface Problem {
  detail?: string;
  errors?: { pointer?: string; message?: string }[];
}

export interface Asked {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

const WAIT_MS = 20_000;
const PAGE = 200;
const MOST_PAGES = 10;

/** A file as a door writes it, such as a statement to print. Throws as `ask` does. */
export async function file(path: string, token: string, type: string): Promise<Blob> {
  const text = await ours(async () => {
    const answer = await fetched(path, token, { headers: { Accept: type } });
    const said = await answer.text();
    if (!answer.ok) throw new Refused(answer.status, sentences(said, answer.status));
    return said;
  });
  return new Blob([text], { type });
}

/** Throws Refused; Left where whoever's token it is has left meanwhile. */
export const ask = <T>(path: string, token: string | null, asked: Asked = {}): Promise<T> =>
  token ? ours(() => answered<T>(path, token, asked)) : answered<T>(path, null, asked);

async function ours<T>(work: () => Promise<T>): Promise<T> {
  const mine = visit();
  try {
    const answer = await work();
    if (mine === visit()) return answer;
  } catch (fault) {
    if (mine === visit()) throw fault;
  }
  throw new Left();
}

async function answered<T>(path: string, token: string | null, asked: Asked): Promise<T> {
  const answer = await fetched(path, token, asked);
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text) as T;
  throw new Refused(answer.status, sentences(text, answer.status));
}

async function fetched(path: string, token: string | null, asked: Asked): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...asked.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (asked.body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, {
      method: asked.method ?? "GET",
      headers,
      body: asked.body === undefined ? undefined : JSON.stringify(asked.body),
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(WAIT_MS),
    });
  } catch {
    throw new Refused(0, ["The door does not answer."]);
  }
}

function sentences(text: string, status: number): string[] {
  try {
    const problem = JSON.parse(text) as Problem;
    const faults = (problem.errors ?? []).map((each) => `${each.pointer ?? ""} ${each.message ?? ""}`.trim());
    return (faults.length ? faults : [problem.detail ?? `The door answered ${status}.`]).map(visible);
  } catch {
    return [`The door answered ${status}.`];
  }
}

const SAY_MS = 15_000;

interface Said {
  t: string;
  code?: string;
  message?: string;
  details?: { pointer?: string; message?: string }[];
}

/** Says one thing for a site, on a connection of its own to the gateway (PROTOCOL.md); resolves once the log has it. */
export function say(gateway: string, token: string, site: string, frame: object): Promise<void> {
  return new Promise((told, failed) => {
    const socket = new WebSocket(`${gateway}/v1/stream`, "gridsignal.v1.json");
    const refuse = (...why: string[]) => failed(new Refused(0, why));
    const tooLate = window.setTimeout(() => socket.close(), SAY_MS);
    socket.onopen = () => socket.send(JSON.stringify({ t: "hello", id: 0, client: "gridsignal-console/1", site, token }));
    socket.onclose = () => {
      clearTimeout(tooLate);
      refuse("The gateway does not answer."); // nothing where it has answered already
    };
    socket.onmessage = (event) => {
      const said = JSON.parse(String(event.data)) as Said;
      if (said.t === "welcome") socket.send(JSON.stringify({ ...frame, id: 1 }));
      if (!["received", "refused", "error"].includes(said.t)) return;
      if (said.t === "received") told();
      const faults = (said.details ?? []).map((each) => `${each.pointer ?? ""} ${each.message ?? ""}`.trim());
      refuse(...(faults.length ? faults : [said.message ?? `The gateway refused it: ${said.code}.`]).map(visible));
      socket.close();
    };
  });
}

/** All rows of a list, page by page; `MOST_PAGES` of them at most. */
export async function list<T>(path: string, rows: string, token: string, isByTime = true): Promise<T[]> {
  const found: T[] = [];
  let after = "";
  for (let page = 0; page < MOST_PAGES; page++) {
    const url = new URL(path, location.origin);
    url.searchParams.set("limit", String(PAGE));
    if (isByTime) url.searchParams.set("newest_first", "true");
    if (after) url.searchParams.set("after", after);
    const answer = await ask<{ next: string | null } & Record<string, T[]>>(url.pathname + url.search, token);
    found.push(...(answer[rows] ?? []));
    if (!answer.next) break;
    after = answer.next;
  }
  return found;
}
