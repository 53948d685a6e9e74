// Who is signed in, what was loaded for them, and what a signal makes the page look at again.

import type { Alert, Book, Curve, Me, OfferView, OrderView, RequestView, SettlementView, Signal } from "./answers";
import { gridNow, gridRate, setClock } from "./clock";
import { Left, Refused, ask, list, otherVisit, visit } from "./doors";
import { Live } from "./live";
import { backFromIssuer, forgetIssuer, goToIssuer, renewed, signInAt } from "./oidc";
import type { SignInAt } from "./oidc";
import { loadOrder } from "./past";
import { change, forget, isLive, isOpen, state } from "./state";
import { alerted, isTimeToWatch, loadAlerts, watch } from "./watching";

const KEPT = "gridsignal.token";
const TOGETHER_MS = 120;
/** What could not be read is asked for again so much later. */
const AGAIN_MS = 3000;
const TICK_MS = 1000;
/** Readings are not told to who asked: what an order has delivered is looked at again so often while it runs. */
const METERED_MS = 30_000;
const DONE = 200;
const MOST_AT_ONCE = 20;
const DAY_MS = 864e5;
/** A token is renewed after this share of the time it has left, tried again after that one, within these bounds of a timer. */
const [RENEWED_AT, AGAIN_AT, LEAST_MS, MOST_MS] = [0.75, 0.25, 1000, 2 ** 31 - 1];

let live: Live | null = null;
let ticking = 0;
let renewal = 0;
let meteredAt = 0;
let lookedUntil = 0;
const dirty = new Set<string>();
const dirtyZones = new Set<string>();
let isAllDirty = false;
let areAlertsDirty = false;
let isWatching = false;
let isLooking = false;
let waiting = 0;
/** What to say once all is read, where the stream is whole; null, where it is not, or it was said. */
let whenRead: string | null = null;

// --- coming and going ------------------------------------------------------------------------------------------

/** Signs in by a one-time link, or by the token that this tab has kept. */
export async function begin(): Promise<void> {
  const once = /^#once=([\w-]+)$/.exec(location.hash)?.[1];
  if (once) {
    history.replaceState(null, "", location.pathname);
    try {
      const { token } = await ask<{ token: string }>("/console/sign-in", null, { method: "POST", body: { code: once } });
      return await signIn(token);
    } catch (fault) {
      return forget(said(fault).join(" "));
    }
  }
  const mine = visit();
  try {
    const token = (await backFromIssuer()) ?? sessionStorage.getItem(KEPT);
    if (mine !== visit()) return forgetIssuer();
    if (token) await signIn(token);
  } catch (fault) {
    if (mine === visit()) forget(said(fault).join(" "));
  }
  await offerIssuer();
}

async function offerIssuer(): Promise<void> {
  if (!state().me && !state().signInAt) change({ signInAt: await signInAt().catch(() => null) });
}

/** Leaves for the issuer; what keeps from it is said. */
export async function signInThere(at: SignInAt): Promise<void> {
  change({ busy: true, refused: "" });
  await goToIssuer(at).catch((fault) => change({ busy: false, refused: said(fault).join(" ") }));
}

export async function signIn(token: string): Promise<void> {
  const mine = otherVisit();
  change({ busy: true, refused: "" });
  sessionStorage.setItem(KEPT, token);
  try {
    const me = await ask<Me>("/v1/me", token);
    if (mine !== visit()) return;
    beginClock(me);
    change({ token, me, busy: false });
    follow(token, me);
    renewIn(me, RENEWED_AT);
  } catch (fault) {
    if (mine !== visit()) return;
    const isRefused = fault instanceof Refused && [401, 403].includes(fault.status);
    if (isRefused) sessionStorage.removeItem(KEPT);
    forgetIssuer();
    forget([...said(fault), ...(isRefused ? [] : ["Load the page again to try again."])].join(" "));
  }
}

export function signOut(why = ""): void {
  otherVisit();
  live?.end();
  live = null;
  clearInterval(ticking);
  clearTimeout(renewal);
  forgetIssuer();
  clean();
  [isLooking, isWatching] = [false, false];
  whenRead = null;
  sessionStorage.removeItem(KEPT);
  forget(why);
  void offerIssuer();
}

/** A token of an issuer that renews it is another one before it expires; any other ends with its time. */
function renewIn(me: Me, share: number): void {
  const left = Date.parse(me.token_expires_at) - Date.now();
  clearTimeout(renewal);
  if (left > 0) renewal = window.setTimeout(() => void renew(me), Math.min(Math.max(left * share, LEAST_MS), MOST_MS));
}

/** Who does not answer is asked again until the token expires; without another one, this one is said to have expired. */
async function renew(me: Me): Promise<void> {
  const mine = visit();
  try {
    const token = await renewed();
    if (!token || mine !== visit()) return;
    const next = await ask<Me>("/v1/me", token);
    if (mine !== visit()) return;
    sessionStorage.setItem(KEPT, token);
    change({ token, me: next });
    live?.renew(token);
    renewIn(next, RENEWED_AT);
  } catch (fault) {
    const isForGood = fault instanceof Refused && fault.status >= 400 && fault.status < 500 && fault.status !== 429;
    if (mine === visit() && !isForGood) renewIn(me, AGAIN_AT);
  }
}

function beginClock(me: Me): void {
  setClock(me);
  lookedUntil = gridNow();
  change({ now: gridNow() });
}

function follow(token: string, me: Me): void {
  ticking = window.setInterval(tick, TICK_MS);
  if (!me.gateway) {
    isAllDirty = true;
    void look();
    return;
  }
  live = new Live(me.gateway, token, {
    connecting: () => change({ link: "connecting" }),
    resuming: () => change({ link: "catching up" }),
    alive: () => change({ wholeAt: gridNow() }),
    broken: (why) => {
      whenRead = null;
      change({ link: "broken", notice: `${why || "The connection broke."} What you see may be old.` });
    },
    refused: signOut,
    signal: heard,
    whole,
  });
}

function whole(missed: number | null): void {
  if (missed === null) isAllDirty = true;
  whenRead = missed === null ? "Caught up: everything was read again." : `Caught up: ${missed} signals came meanwhile.`;
  if (!state().loaded) whenRead = "";
  void look();
}

export function said(fault: unknown): string[] {
  return fault instanceof Refused ? fault.sentences : [String(fault)];
}

// --- loading ---------------------------------------------------------------------------------------------------

const byId = <T>(rows: T[], id: (row: T) => string): Record<string, T> => Object.fromEntries(rows.map((row) => [id(row), row]));
const requestId = (view: RequestView) => view.request.request_id;
const orderId = (view: OrderView) => view.order.order_id;
const offerId = (view: OfferView) => view.offer.offer_id;
const settledId = (view: SettlementView) => view.settlement.order_id;

/** What can't be loaded stays as it was, and the page says so. DONE, or the status of what was refused; 0: no answer. */
async function tried(work: () => Promise<unknown>): Promise<number> {
  try {
    await work();
    return DONE;
  } catch (fault) {
    const status = fault instanceof Refused ? fault.status : 0;
    if (fault instanceof Left) return status;
    if (status === 401) signOut(said(fault).join(" "));
    else change({ notice: said(fault).join(" ") });
    return status;
  }
}

async function loadAll(): Promise<void> {
  const { token, me } = state();
  if (!token || !me) return;
  const [requests, orders, settlements, offers] = await Promise.all([
    list<RequestView>("/v1/requests", "requests", token),
    list<OrderView>("/v1/orders", "orders", token),
    list<SettlementView>("/v1/settlements", "settlements", token),
    me.role === "participant" ? list<OfferView>("/v1/offers", "offers", token) : [],
  ]);
  change({
    requests: byId(requests, requestId),
    orders: byId(orders, orderId),
    settlements: byId(settlements, settledId),
    offers: byId(offers, offerId),
  });
  await Promise.all([...me.zones.map(({ zone }) => loadZone(zone)), loadAlerts(), loadBook()]);
  change({ loaded: true });
  arrive();
}

async function loadZone(zone: string): Promise<void> {
  const { token } = state();
  if (!token) return;
  const from = new Date(gridNow() - DAY_MS);
  const to = new Date(gridNow() + 2 * DAY_MS);
  const asked = `zone=${encodeURIComponent(zone)}&from=${from.toISOString()}&to=${to.toISOString()}`;
  const [prices, carbon] = await Promise.all([
    ask<{ curves: Curve[] }>(`/v1/prices?${asked}`, token),
    ask<{ curves: Curve[] }>(`/v1/carbon?${asked}`, token),
  ]);
  const { prices: knownPrices, carbon: knownCarbon } = state();
  change({ prices: { ...knownPrices, [zone]: prices.curves }, carbon: { ...knownCarbon, [zone]: carbon.curves } });
}

async function loadRequest(id: string): Promise<void> {
  const { token, me } = state();
  if (!token || !me) return;
  const asked = `request_id=${encodeURIComponent(id)}`;
  const [view, orders, settlements, offers] = await Promise.all([
    ask<RequestView>(`/v1/requests/${encodeURIComponent(id)}`, token),
    list<OrderView>(`/v1/orders?${asked}`, "orders", token),
    list<SettlementView>(`/v1/settlements?${asked}`, "settlements", token),
    me.role === "participant" ? list<OfferView>(`/v1/offers?${asked}`, "offers", token) : [],
  ]);
  const known = state();
  change({
    requests: { ...known.requests, [id]: view },
    orders: { ...known.orders, ...byId(orders, orderId) },
    settlements: { ...known.settlements, ...byId(settlements, settledId) },
    offers: { ...known.offers, ...byId(offers, offerId) },
  });
  const [page, of] = known.route;
  if (page === "request" && of === id) await loadBook();
  if (page === "order" && of && known.looked?.orders.some(({ order }) => order.order_id === of && order.request_id === id)) await loadOrder(of);
}

/** The book of the request that is looked at, where it is theirs. */
async function loadBook(): Promise<void> {
  const { token, me, route, requests } = state();
  const id = route[0] === "request" ? route[1] : undefined;
  const view = id ? requests[id] : undefined;
  if (!token || !id || !view || me?.role !== "operator" || view.request.operator !== me.organisation) return;
  const book = await ask<Book>(`/v1/requests/${encodeURIComponent(id)}/book`, token);
  change({ books: { ...state().books, [id]: book } });
}

/** What the page that is gone to needs besides. */
export function arrive(): void {
  const { token, route, requests, loaded } = state();
  const [page, id] = route;
  if (!token || !loaded) return;
  if ((page === "request" || page === "amend") && id) void tried(() => (requests[id] ? loadBook() : loadRequest(id)));
  if (page === "order" && id) void tried(() => loadOrder(id));
  watchAgain();
}

export function watchAgain(): void {
  if (isWatching) return;
  isWatching = true;
  const [mine, { route }] = [visit(), state()];
  void tried(watch).finally(() => {
    if (mine !== visit()) return;
    isWatching = false;
    if (state().route !== route) watchAgain();
  });
}

// --- being told ------------------------------------------------------------------------------------------------

function heard(signal: Signal): void {
  const { body } = signal;
  if (signal.type === "GridAlert") {
    alerted(body as unknown as Alert);
    areAlertsDirty = true;
    soon();
  } else if (signal.type === "SpotPrice" || signal.type === "CarbonIntensity") {
    if (body.zone) dirtyZones.add(body.zone);
    soon();
  } else if (body.request_id) {
    lookAgain(body.request_id);
  }
}

function lookAgain(request: string): void {
  dirty.add(request);
  soon();
}

function soon(afterMs = TOGETHER_MS): void {
  if (!waiting) waiting = window.setTimeout(() => void look(), afterMs);
}

function clean(): void {
  clearTimeout(waiting);
  waiting = 0;
  isAllDirty = false;
  areAlertsDirty = false;
  dirty.clear();
  dirtyZones.clear();
}

/** Reads what is dirty; what the door could not answer stays dirty, and until it is read the page is not live. */
async function look(): Promise<void> {
  clearTimeout(waiting);
  waiting = 0;
  if (isLooking || !(state().loaded || isAllDirty)) return; // who looks looks again; at first, all will be read
  const requests = [...dirty];
  const zones = [...dirtyZones];
  const all = isAllDirty || requests.length > MOST_AT_ONCE;
  const alerts = areAlertsDirty;
  clean();
  isLooking = true;
  const mine = visit();
  const status = await tried(() => (all ? loadAll() : Promise.all([...requests.map(loadRequest), ...zones.map(loadZone), ...(alerts ? [loadAlerts().then(watch)] : [])])));
  if (mine !== visit()) return; // who has come since looks for themselves
  isLooking = false;
  const isForGood = !all && status >= 400 && status < 500 && status !== 429;
  if (status !== DONE && !isForGood) {
    isAllDirty ||= all;
    areAlertsDirty ||= alerts;
    for (const request of requests) dirty.add(request);
    for (const zone of zones) dirtyZones.add(zone);
    if (state().link === "live") {
      whenRead = "Caught up: what could not be read was read.";
      change({ link: "catching up" });
    }
    clearTimeout(waiting);
    waiting = 0;
    soon(AGAIN_MS);
  } else if (isAllDirty || areAlertsDirty || dirty.size || dirtyZones.size) {
    soon();
  } else if (whenRead !== null) {
    change({ link: "live", wholeAt: gridNow(), notice: whenRead });
    whenRead = null;
  }
}

/** A second went by: what the clock alone changes is looked at once its moment has passed. */
function tick(): void {
  const now = gridNow();
  const { requests, orders, loaded } = state();
  change({ now });
  if (!loaded) return;
  if (isTimeToWatch()) watchAgain();
  const due = (times: (string | null)[]) => times.some((each) => each && lookedUntil < Date.parse(each) && Date.parse(each) <= now);
  for (const view of Object.values(requests)) {
    const { gate_closure_at, decision_deadline, starts_at, ends_at, request_id } = view.request;
    if (isOpen(view) && due([gate_closure_at, decision_deadline, starts_at, ends_at])) lookAgain(request_id);
  }
  const running = Object.values(orders).filter(isLive);
  for (const { order } of running) if (due([order.respond_by, order.starts_at, order.ends_at])) lookAgain(order.request_id);
  lookedUntil = now - gridRate() * TICK_MS; // once more a second later: the door has a clock of its own
  if (performance.now() - meteredAt > METERED_MS) {
    meteredAt = performance.now();
    for (const { order } of running) if (Date.parse(order.starts_at) <= now) lookAgain(order.request_id);
  }
}

export async function refresh(request: string): Promise<void> {
  await tried(() => loadRequest(request));
}
