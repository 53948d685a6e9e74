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

export async function ask<T>(path: string, token: string | null, asked: Asked = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", ...asked.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (asked.body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(path, {
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
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text) as T;
  throw new Refused(answer.status, sentences(text, answer.status));
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

/** All rows of a list, page by page; `MOST_PAGES` of them at most. */
export async function list<T>(path: string, rows: string, token: string): Promise<T[]> {
  const found: T[] = [];
  let after = "";
  for (let page = 0; page < MOST_PAGES; page++) {
    const url = new URL(path, location.origin);
    url.searchParams.set("limit", String(PAGE));
    url.searchParams.set("newest_first", "true");
    if (after) url.searchParams.set("after", after);
    const answer = await ask<{ next: string | null } & Record<string, T[]>>(url.pathname + url.search, token);
    found.push(...(answer[rows] ?? []));
    if (!answer.next) break;
    after = answer.next;
  }
  return found;
}
