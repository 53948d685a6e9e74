// All that the page knows, in one place. `change` is the one way to change it; whoever draws is told.

import type { AlertSites, AlertView, Book, Contact, Curve, Declared, FeedView, Me, OfferView, Operations, OrderView, Proof, RequestView, SettlementView, SiteView, Statement } from "./answers";

import type { SignInAt } from "./oidc";

export type Link = "connecting" | "catching up" | "live" | "broken";

export interface Confirm {
  title: string;
  lines: string[];
  action: string;
  /** Whether it has to be said why. */
  reason: "needed" | "welcome" | "none";
  /** A moment that is asked for, in a market's time; `at` is proposed. */
  moment?: { label: string; timezone: string; at: number };
  /** What else is asked for, by name. */
  asks?: Asked[];
  /** `at` is that moment in milliseconds; NaN: none was asked for. `told` has what else was asked for. */
  run: (reason: string, at: number, told: Record<string, string>) => Promise<void>;
}

/** One more field of a question: a choice where there are some, else a number. */
export interface Asked {
  name: string;
  label: string;
  value?: string;
  choices?: readonly (readonly [value: string, label: string])[];
  isNeeded?: boolean;
  least?: number;
  most?: number;
}

/** What a look into the past has found. */
export interface Found {
  said: string;
  orders: OrderView[];
  settlements: Record<string, SettlementView>;
  /** Of the month that was asked for. */
  statement?: Statement;
}

export interface State {
  token: string | null;
  me: Me | null;
  /** Why somebody isn't signed in (any more). */
  refused: string;
  /** Where people sign in, if not by a token that they paste. */
  signInAt: SignInAt | null;
  link: Link;
  /** Grid time at which the live stream was last known to be whole. */
  wholeAt: number;
  /** What the page has to say, such as that it has caught up. */
  notice: string;
  loaded: boolean;
  now: number;
  route: string[];
  requests: Record<string, RequestView>;
  orders: Record<string, OrderView>;
  offers: Record<string, OfferView>;
  settlements: Record<string, SettlementView>;
  books: Record<string, Book>;
  alerts: Record<string, AlertView>;
  /** What the sites said of each alert that is watched. */
  acknowledged: Record<string, AlertSites>;
  contacts: Contact[];
  /** Connection points in an operator's zones, or one's own. */
  sites: SiteView[];
  /** What one's own sites have declared to draw, by site. */
  declared: Record<string, Declared>;
  feeds: FeedView[];
  operations: Operations | null;
  /** The one record that is looked at, and what proves it. */
  proof: Proof | null;
  found: Found | null;
  /** The one order that is looked at. */
  looked: Found | null;
  prices: Record<string, Curve[]>;
  carbon: Record<string, Curve[]>;
  confirm: Confirm | null;
  /** What went wrong with the last thing that was asked for. */
  problem: string[];
  busy: boolean;
}

const EMPTY: State = {
  token: null,
  me: null,
  refused: "",
  signInAt: null,
  link: "connecting",
  wholeAt: 0,
  notice: "",
  loaded: false,
  now: Date.now(),
  route: [],
  requests: {},
  orders: {},
  offers: {},
  settlements: {},
  books: {},
  alerts: {},
  acknowledged: {},
  contacts: [],
  sites: [],
  declared: {},
  feeds: [],
  operations: null,
  proof: null,
  found: null,
  looked: null,
  prices: {},
  carbon: {},
  confirm: null,
  problem: [],
  busy: false,
};

let current: State = EMPTY;
let draw: (state: State) => void = () => {};
let isDue = false;

export const state = (): State => current;

export function change(changes: Partial<State>): void {
  current = { ...current, ...changes };
  if (isDue) return;
  isDue = true;
  queueMicrotask(() => {
    isDue = false;
    draw(current);
  });
}

/** Everything that belongs to whoever was signed in is forgotten. */
export function forget(refused = ""): void {
  change({ ...EMPTY, now: Date.now(), route: current.route, signInAt: current.signInAt, refused });
}

export function whenChanged(drawing: (state: State) => void): void {
  draw = drawing;
}

export const ORDER_OVER = new Set(["COMPLETED", "REFUSED", "VOIDED", "CANCELLED", "ABORTED", "DEFAULTED"]);
export const REQUEST_OVER = new Set(["COMPLETED", "SETTLED", "DISPUTED", "UNMET", "CANCELLED", "OVER"]);

export const isLive = (view: OrderView): boolean => !ORDER_OVER.has(view.state);
export const isOpen = (view: RequestView): boolean => !REQUEST_OVER.has(view.state);
/** Whether something of its newest version waits for an answer. */
export const isDisputed = ({ settlement, disputes }: Pick<SettlementView, "settlement" | "disputes">): boolean =>
  disputes.some((each) => each.answer === null && each.version === settlement.version);
export const mayAct = (me: Me): boolean => me.role === "operator" && me.scopes.includes("dispatch:write");

/** Whether they may speak for sites at the gateway: answer orders, dispute settlements, acknowledge alerts. */
export const maySpeak = (me: Me | null): me is Me => me?.role === "participant" && me.gateway !== null && me.scopes.includes("offer:write");

export const mayPush = (me: Me): boolean => me.role === "operator" && me.ingest !== null && me.scopes.includes("signal:write");

export const maySeeOperations = (me: Me): boolean => me.role === "operator" && me.scopes.includes("operations:read");

/** The market time of a zone; UTC for one that isn't theirs. */
export function zoneTime(me: Me | null, zone: string): string {
  return me?.zones.find((each) => each.zone === zone)?.timezone ?? "UTC";
}
