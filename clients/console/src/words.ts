// How figures, times and other people's texts are written. Nothing here looks at a clock or the page.

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** A text of others: what can't be seen, or turns the line round, is spelled out. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 3 });

/** 12000000 -> "12 MW" */
export function mw(watts: number | null | undefined): string {
  return watts == null ? "–" : `${number.format(watts / 1e6)} MW`;
}

/** 9000000 -> "9 MWh" */
export function mwh(wattHours: number | null | undefined): string {
  return wattHours == null ? "–" : `${number.format(wattHours / 1e6)} MWh`;
}

/** 1234500 -> "1,234.5 kg" */
export function kilograms(grams: number | null | undefined): string {
  return grams == null ? "–" : `${number.format(grams / 1e3)} kg`;
}

/** "810.5", EUR -> "EUR 810.50", every digit of it kept. */
export function money(amount: string | number | null | undefined, currency: string): string {
  if (amount == null) return "–";
  const form = { style: "currency", currency, currencyDisplay: "code", maximumFractionDigits: 4 } as const;
  try {
    return new Intl.NumberFormat(undefined, form).format(amount as number).replace(/\u00a0/g, " ");
  } catch {
    return `${amount} ${currency}`;
  }
}

/** A price, with its unit. */
export function price(perMwh: string | null | undefined, currency: string): string {
  return perMwh == null ? "–" : `${money(perMwh, currency)}/MWh`;
}

const forms = new Map<string, Intl.DateTimeFormat>();

/** What was written before: the same moments are shown again each second. */
const written = new Map<string, Record<string, string>>();
const MOST_WRITTEN = 8192;

function parts(iso: string | number, timezone: string): Record<string, string> {
  const key = `${timezone}|${iso}`;
  const known = written.get(key);
  if (known) return known;
  if (written.size >= MOST_WRITTEN) written.clear();
  const made = split(iso, timezone);
  written.set(key, made);
  return made;
}

function split(iso: string | number, timezone: string): Record<string, string> {
  let form = forms.get(timezone);
  if (!form) {
    form = new Intl.DateTimeFormat("en-GB", {
      timeZone: timezone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
      timeZoneName: "longOffset",
    });
    forms.set(timezone, form);
  }
  return Object.fromEntries(form.formatToParts(new Date(iso)).map((part) => [part.type, part.value]));
}

/** The market's day: "2024-05-12". */
export function day(iso: string | number, timezone: string): string {
  const { year, month, day } = parts(iso, timezone);
  return `${year}-${month}-${day}`;
}

/** The market's time with its offset: "18:00 +02:00", and the day where it isn't `today`. */
export function time(iso: string | number, timezone: string, today?: string, seconds = false): string {
  const { hour, minute, second, timeZoneName } = parts(iso, timezone);
  const offset = (timeZoneName ?? "").replace("GMT", "") || "+00:00";
  const date = day(iso, timezone);
  return `${date === today ? "" : `${date} `}${hour}:${minute}${seconds ? `:${second}` : ""} ${offset}`;
}

/** UTC, for a hint. */
export function utc(iso: string | number): string {
  return `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** 3725000 ms -> "1 h 02 min", 65000 -> "1 min 05 s" */
export function span(milliseconds: number): string {
  const all = Math.max(0, Math.round(milliseconds / 1000));
  const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (n: number) => String(n).padStart(2, "0");
  return h ? `${h} h ${two(m)} min` : m ? `${m} min ${two(s)} s` : `${s} s`;
}

/** LOAD_DECREASE -> "less", LOAD_INCREASE -> "more" */
export function way(direction: string): string {
  return direction === "LOAD_DECREASE" ? "less" : direction === "LOAD_INCREASE" ? "more" : direction;
}

/** PARTIALLY_AWARDED -> "partially awarded" */
export function state(word: string): string {
  return visible(word).replaceAll("_", " ").toLowerCase();
}

/** The local time of a market as an input of type datetime-local takes it, and back. */
export function toLocal(at: number, timezone: string): string {
  const { year, month, day, hour, minute } = parts(at, timezone);
  return `${year}-${month}-${day}T${hour}:${minute}`;
}

/** Milliseconds of a market's local time; of a time that comes twice the first. NaN where it is none. */
export function fromLocal(text: string, timezone: string): number {
  const naive = Date.parse(`${text}:00Z`);
  if (Number.isNaN(naive)) return NaN;
  const offsets = [naive - 864e5, naive + 864e5].map((near) => Date.parse(`${toLocal(near, timezone)}:00Z`) - near);
  const found = offsets.map((offset) => naive - offset).filter((at) => toLocal(at, timezone) === text);
  return found.length ? Math.min(...found) : NaN;
}
