// Signing in at an issuer: OpenID Connect's authorization code with PKCE (RFC 7636), for a client without a secret.
// The answer comes in the fragment, which browsers send to nobody; what renews a token is kept in memory alone.

import { Refused, ask } from "./doors";
import { visible } from "./words";

/** What the door says of where people sign in. */
export interface SignInAt {
  issuer: string | null;
  client_id: string | null;
  scope: string | null;
}

interface Discovered {
  issuer: string;
  authorization_endpoint: string;
  token_endpoint: string;
}

interface Tokens {
  access_token: string;
  refresh_token?: string;
}

/** What is kept of a sign-in while its tab is at the issuer. */
interface Started {
  verifier: string;
  state: string;
  issuer: string;
  client_id: string;
  endpoint: string;
  route: string;
}

const STARTED = "gridsignal.sign-in";
const WAIT_MS = 15_000;
const here = (): string => location.origin + location.pathname;

let renewing: { endpoint: string; client_id: string; refresh_token: string } | null = null;

export const signInAt = (): Promise<SignInAt> => ask<SignInAt>("/console/sign-in", null);

/** Goes to the issuer. Throws Refused. */
export async function goToIssuer({ issuer, client_id, scope }: SignInAt): Promise<void> {
  if (!issuer || !client_id) return;
  const found = await discovered(issuer);
  const [verifier, state] = [random(), random()];
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const started: Started = { verifier, state, issuer, client_id, endpoint: found.token_endpoint, route: location.hash };
  sessionStorage.setItem(STARTED, JSON.stringify(started));
  const url = new URL(found.authorization_endpoint);
  const asked = {
    response_type: "code",
    response_mode: "fragment",
    client_id,
    redirect_uri: here(),
    scope: scope ?? "openid",
    state,
    code_challenge: base64url(new Uint8Array(hash)),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  location.assign(url);
}

/** The token of somebody who comes back from the issuer; null for who doesn't. Throws Refused. */
export async function backFromIssuer(): Promise<string | null> {
  const said = new URLSearchParams(location.hash.slice(1));
  if (!said.has("state") || !(said.has("code") || said.has("error"))) return null;
  const kept = sessionStorage.getItem(STARTED);
  sessionStorage.removeItem(STARTED);
  history.replaceState(null, "", here());
  const started = kept ? (JSON.parse(kept) as Started) : null;
  if (!started || said.get("state") !== started.state) throw new Refused(0, ["This sign-in was not begun in this tab: begin anew."]);
  if (said.has("iss") && said.get("iss") !== started.issuer) throw new Refused(0, ["Another issuer has answered than was asked: begin anew."]); // RFC 9207
  if (said.has("error")) throw new Refused(0, [`The issuer refused: ${visible(said.get("error_description") ?? said.get("error") ?? "")}.`]);
  if (started.route.startsWith("#/")) history.replaceState(null, "", here() + started.route);
  const { endpoint, client_id, verifier } = started;
  const code = { grant_type: "authorization_code", code: said.get("code") ?? "", redirect_uri: here(), code_verifier: verifier, client_id };
  return taken(endpoint, client_id, await tokens(endpoint, code));
}

/** The next token of who signed in at the issuer; null where it gives none without them, or they have left meanwhile.
 * Throws Refused. */
export async function renewed(): Promise<string | null> {
  const mine = renewing;
  if (!mine) return null;
  const { endpoint, client_id, refresh_token } = mine;
  const next = await tokens(endpoint, { grant_type: "refresh_token", refresh_token, client_id });
  return renewing === mine ? taken(endpoint, client_id, next) : null;
}

export function forgetIssuer(): void {
  renewing = null;
}

function taken(endpoint: string, client_id: string, { access_token, refresh_token }: Tokens): string {
  const next = refresh_token ?? renewing?.refresh_token;
  renewing = next ? { endpoint, client_id, refresh_token: next } : null;
  return access_token;
}

async function discovered(issuer: string): Promise<Discovered> {
  const found = await fetched<Discovered>(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (found.issuer !== issuer) throw new Refused(0, [`expected the issuer ${issuer}, got ${visible(String(found.issuer).slice(0, 100))}`]);
  const { origin } = new URL(issuer);
  const elsewhere = [found.authorization_endpoint, found.token_endpoint].find((each) => new URL(each).origin !== origin);
  if (elsewhere) throw new Refused(0, [`expected the issuer to be at ${origin} alone, got ${visible(elsewhere.slice(0, 100))}`]);
  return found;
}

const tokens = (endpoint: string, form: Record<string, string>): Promise<Tokens> => fetched<Tokens>(endpoint, { method: "POST", body: new URLSearchParams(form) });

async function fetched<T>(url: string, asked: RequestInit = {}): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(url, { ...asked, credentials: "omit", redirect: "error", signal: AbortSignal.timeout(WAIT_MS) });
  } catch {
    throw new Refused(0, ["The issuer does not answer, or does not let this page ask."]);
  }
  const said = (await answer.json().catch(() => ({}))) as T & { error?: string; error_description?: string };
  if (!answer.ok) throw new Refused(answer.status, [`The issuer refused: ${visible(said.error_description ?? said.error ?? String(answer.status))}.`]);
  return said;
}

const random = (): string => base64url(crypto.getRandomValues(new Uint8Array(32)));

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
