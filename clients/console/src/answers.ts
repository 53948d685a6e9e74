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
  price_per_mwh: string;
  respond_by: string;
  run_mode: string;
}

export interface OrderView {
  order: Order;
  state: string;
  accepted_w: number | null;
  extendable_until: string | null;
  history: { at: string; state: string; principal: string; reason: string }[];
  ordered_wh: number | null;
  delivered_wh: number | null;
  amount: string | null;
  currency: string;
  metered_s: number;
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
  receipt: { received_at: string };
}

export interface SettlementView {
  settlement: {
    zone: string;
    order_id: string;
    site: string;
    version: number;
    status: string;
    total: string;
    currency: string;
    reason: string;
    intervals: { starts_at: string; ends_at: string; delivered_wh?: number | null; ordered_wh: number }[];
  };
  state: string;
  logged_at: string;
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

/** A signal's body: the record that `type` names. */
export interface Signal {
  type: string;
  body: { zone?: string; request_id?: string; order_id?: string; [more: string]: unknown };
}
