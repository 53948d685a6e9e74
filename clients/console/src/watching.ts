// What no signal tells of: what sites say of an alert, who is silent, how feeds stand. It is read again while it is seen.

import type { Alert, AlertSites, AlertView, Contact, Declared, FeedView, Operations, SiteView } from "./answers";
import { gridNow } from "./clock";
import { ask, list, visit } from "./doors";
import { change, maySeeOperations, state } from "./state";

/** How long a page may show these without looking again, by the page. */
const AGAIN_MS: Record<string, number> = { alert: 2000, alerts: 15_000, "": 15_000, feeds: 30_000, new: 30_000, amend: 30_000, operations: 5000 };
const MOST_WATCHED = 5;
const MOST_SITES = 5;
const [HOUR_MS, DECLARED_MS] = [36e5, 60_000];
let [declaredAt, declaredFor] = [0, -1];
let lookedAt = 0;

export const alertKey = ({ provider, zone, alert_id }: Alert): string => [provider, zone, alert_id].join("/");
export const alertPage = (alert: Alert): string => `#/alert/${[alert.provider, alert.zone, alert.alert_id].map(encodeURIComponent).join("/")}`;

export const inForce = (view: AlertView, now: number): boolean => !view.is_over && (!view.alert.ends_at || Date.parse(view.alert.ends_at) > now);

/** An alert as the stream tells it: the door may know of it a moment later. */
export function alerted(alert: Alert): void {
  const { alerts } = state();
  const known = alerts[alertKey(alert)];
  const view = { is_over: false, superseded_by: null, receive_by: null, apply_by: null, ...known, alert };
  if (!known || known.alert.revision <= alert.revision) change({ alerts: { ...alerts, [alertKey(alert)]: view } });
}

export async function loadAlerts(): Promise<void> {
  const { token } = state();
  if (!token) return;
  const read = await list<AlertView>("/v1/alerts", "alerts", token);
  const { alerts } = state();
  const newest = (view: AlertView) => {
    const known = alerts[alertKey(view.alert)];
    return known && known.alert.revision > view.alert.revision ? known : view;
  };
  change({ alerts: { ...alerts, ...Object.fromEntries(read.map((view) => [alertKey(view.alert), newest(view)])) } });
}

async function loadSites({ alert }: Pick<AlertView, "alert">): Promise<void> {
  const { token } = state();
  if (!token) return;
  const asked = `zone=${encodeURIComponent(alert.zone)}&provider=${encodeURIComponent(alert.provider)}`;
  const path = `/v1/alerts/${encodeURIComponent(alert.alert_id)}?${asked}`;
  const first = await ask<AlertSites>(`${path}&limit=500`, token);
  change({ acknowledged: { ...state().acknowledged, [alertKey(alert)]: first } });
}

async function loadContacts(): Promise<void> {
  const { token } = state();
  if (token) change({ contacts: await list<Contact>("/v1/contacts", "contacts", token, false) });
}

async function loadFeeds(): Promise<void> {
  const { token, me } = state();
  if (token && me?.ingest) change({ feeds: await ask<FeedView[]>(`${me.ingest}/v1/feeds`, token) });
}

async function loadKnownSites(): Promise<void> {
  const { token } = state();
  if (token) change({ sites: await ask<SiteView[]>("/v1/sites", token) });
}

/** What one's own sites are to draw, from a while ago to the day after tomorrow; programs declare it anew a few times a day. */
async function loadDeclared(): Promise<void> {
  const { token, me } = state();
  const isNew = declaredFor === visit() && performance.now() - declaredAt < DECLARED_MS;
  if (!token || me?.role !== "participant" || isNew) return;
  [declaredAt, declaredFor] = [performance.now(), visit()];
  const period = `from=${new Date(gridNow() - 6 * HOUR_MS).toISOString()}&to=${new Date(gridNow() + 36 * HOUR_MS).toISOString()}`;
  const theirs = me.sites.slice(0, MOST_SITES);
  const read = await Promise.all(theirs.map((site) => ask<Declared>(`/v1/baselines?site=${encodeURIComponent(site)}&${period}`, token)));
  await loadKnownSites();
  change({ declared: Object.fromEntries(read.map((each) => [each.site, each])) });
}

async function loadOperations(): Promise<void> {
  const { token, me } = state();
  if (token && me && maySeeOperations(me)) change({ operations: await ask<Operations>("/v1/operations", token) });
}

/** Reads what the page that is seen shows of these. */
export async function watch(): Promise<void> {
  const { me, route, alerts, now } = state();
  lookedAt = performance.now();
  const [page = "", provider, zone, alert_id] = route;
  if (page === "alert" && provider && zone && alert_id) await loadSites({ alert: { provider, zone, alert_id } as Alert });
  if (page === "feeds") await loadFeeds();
  if (page === "new" || page === "amend") await Promise.all([loadKnownSites(), loadContacts()]);
  if (page === "operations") await loadOperations();
  if (!["", "alerts"].includes(page) || !me) return;
  const theirs = Object.values(alerts).filter((view) => inForce(view, now) && (me.role === "participant" || view.alert.provider === me.organisation));
  const newest = theirs.sort((a, b) => Date.parse(b.alert.issued_at) - Date.parse(a.alert.issued_at)).slice(0, MOST_WATCHED);
  await Promise.all([loadContacts(), ...(page === "" ? [loadDeclared()] : []), ...newest.map(loadSites)]);
}

/** Whether it is time to look again; never while nobody sees the page. */
export function isTimeToWatch(): boolean {
  const after = AGAIN_MS[state().route[0] ?? ""];
  return after !== undefined && !document.hidden && performance.now() - lookedAt > after;
}
