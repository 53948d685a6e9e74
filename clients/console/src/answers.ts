// What the doors answer with, as far as it is shown: /openapi.json and PROTOCOL.md have all of it.
// Power is in watts, energy in watt-hours, money a decimal as text, times RFC 3339.

export interface Me {
  role: "operator" | "participant";
  organisation: string;
  subject: string;
  scopes: string[];
  token_expires_at: string;
  zones: { zone: string; timezone: string; currency: string }[];
  sites: string[];
  now: string;
  rate: number;
  gateway: string | null;
  ingest: string | null;
}

export interface Request {
  zone: string;
  request_id: string;
  revision: number;
  operator: string;
  product: string;
  purpose: string;
  text: string;
  direction: string;
  starts_at: string;
  ends_at: string;
  power_w: number;
  price_cap_per_mwh?: string | null;
  currency: string;
  pricing: string;
  gate_closure_at: string;
  decision_deadline: string;
  clearing_mode: string;
  run_mode: string;
  [more: string]: unknown;
}

export interface RequestView {
  request: Request;
  state: string;
  waits_for_clearing: boolean;
  offers: number;
  orders: string[];
}

export interface Order {
  zone: string;
  request_id: string;
  participant: string;
  site: string;
  order_id: string;
  revision: number;
  direction: string;
  power_w: number;
  starts_at: string;
  ends_at: string | null;
  price_per_mwh: string | null;
  respond_by: string;
  import_limit_w: number | null;
  shift_id: string | null;
  run_mode: string;
}

export interface OrderView {
  order: Order;
  state: string;
  accepted_w: number | null;
  extendable_until: string | null;
  history: { at: string; state: string; actor: string; principal: string; reason_code: string; reason: string }[];
  ordered_wh: number | null;
  delivered_wh: number | null;
  amount: string | null;
  currency: string;
  metered_s: number;
  metered: Metered[];
}

/** A stretch of an order over which its baseline, reading and power are constant. */
export interface Metered {
  starts_at: string;
  ends_at: string;
  baseline_w: number | null;
  actual_w: number | null;
  ordered_w: number;
  delivered_w: number | null;
  delivered_wh: number | null;
  amount: string | null;
  gap: string | null;
}

export interface OptionLine {
  option: string;
  power_w: number;
  starts_at: string;
  ends_at: string;
  price_per_mwh: string;
  effective_price_per_mwh: string | null;
  divisible: boolean;
  min_power_w: number;
}

export interface OfferLine {
  place: number;
  participant: string;
  site: string;
  offer_id: string;
  state: string;
  codes: string[];
  reason: string;
  option: string | null;
  awarded_w: number | null;
  options: OptionLine[];
  received_at: string;
  order_id: string | null;
  order_state: string | null;
}

export interface Book {
  request: Request;
  state: string;
  offered_w: number;
  awarded_w: number;
  offers: OfferLine[];
  clearings: { clearing_id?: string; reason?: string; method?: string; at?: string }[];
}

export interface OfferView {
  offer: {
    offer_id: string;
    request_id: string | null;
    site: string;
    zone: string;
    options: { option: string; power_w: number; starts_at: string; ends_at: string; price_per_mwh: string }[];
  };
  state: string;
  codes: string[];
  option: string | null;
  awarded_w: number | null;
  order_id: string | null;
  receipt: { offer_id: string | null; revision: number | null; sha256: string; received_at: string };
}

export interface SettlementView {
  settlement: {
    zone: string;
    order_id: string;
    site: string;
    request_id: string;
    settlement_id: string;
    participant: string;
    version: number;
    status: string;
    total: string;
    currency: string;
    reason: string;
    intervals: { starts_at: string; ends_at: string; delivered_wh?: number | null; ordered_wh: number }[];
  };
  state: string;
  logged_at: string;
  disputable_until: string | null;
  disputes: { version: number; reason_code: string; text: string; claimed: string | null; actor: string; received_at: string; answer: string | null }[];
}

/** A month's statement, without its orders. */
export interface Statement {
  month: string;
  count: number;
  unsettled: number;
  totals: { currency: string; orders: number; ordered_wh: number; delivered_wh: number; missing: number; total: string }[];
  carbon: { accounting: string; zone: string; basis: string | null; emitted_grams: number | null; avoided_grams: number | null; known_wh: number; unknown_wh: number }[];
}

export interface Point {
  starts_at: string;
  ends_at: string;
  observed_at?: string;
  price_per_mwh?: string | null;
  g_per_kwh?: number | string | null;
  [more: string]: unknown;
}

export interface Curve {
  zone: string;
  points: Point[];
  [more: string]: unknown;
}

export interface Alert {
  alert_id: string;
  revision: number;
  zone: string;
  kind: string;
  level: number;
  action: string;
  issued_at: string;
  starts_at?: string | null;
  ends_at?: string | null;
  is_drill: boolean;
  text: string;
  provider: string;
}

export interface AlertView {
  alert: Alert;
  is_over: boolean;
  superseded_by: string | null;
  receive_by: string | null;
  apply_by: string | null;
}

interface Step {
  at: string | null;
  is_late: boolean;
}

/** What a site said of an alert, and what its meters showed. */
export interface SiteAlert {
  site: string;
  received: Step;
  understood_at: string | null;
  will_act_at: string | null;
  cannot_act_at: string | null;
  applied: Step;
  verified: { at: string | null; power_w: number | null };
  actor: string | null;
  reason: string | null;
}

export interface AlertSites extends AlertView {
  sites: SiteAlert[];
  next: string | null;
}

export interface Contact {
  zone: string;
  site: string;
  contact: string;
  is_silent: boolean;
  heard_at: string | null;
  until: string | null;
  failsafe: { heartbeat_s: number; limit_w: number };
}

/** A connection point, and to operators how far its baseline reaches. */
export interface SiteView {
  zone: string;
  site: string;
  capacity_w: number;
  minimum_load_w?: number;
  baseline_until?: string | null;
}

/** What a site has declared that it draws, while nothing is asked of it. */
export interface Declared {
  site: string;
  stretches: { starts_at: string; ends_at: string; power_w: number; method: string; declared_at: string }[];
}

/** How one provider's feed stands, as the ingest door has it. */
export interface FeedView {
  provider: string;
  zone: string;
  signal: string;
  last_success_at: string | null;
  newest_ends_at: string | null;
  next_due_at: string;
  stale: boolean;
  published: number;
  revisions: number;
  quarantined: number;
  trouble: string;
  left_out: string;
}

/** How the doors' process does, for whoever runs it. */
export interface Operations {
  doors: { name: string; ready: boolean; reason: string }[];
  followed: { by: string; stream: string; state: string; behind: number; unreadable: number }[];
  counted: { door: string; name: string; labels: Record<string, string>; value: number }[];
}

/** A record, and what proves it. */
export interface Proof {
  record_name: string;
  record: Record<string, unknown>;
  evidence: {
    head: { partition: number; size: number; root: string; log: string; signed_at: string; signed_by: string };
    record: { offset: number; appended_us: number; principal: string; value: string; path: string[]; signature?: string | null };
  };
}

/** A signal's body: the record that `type` names. */
export interface Signal {
  type: string;
  body: { zone?: string; request_id?: string; order_id?: string; [more: string]: unknown };
}
