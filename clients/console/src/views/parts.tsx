// Small things that every page is made of.

import { cloneElement, isValidElement, toChildArray } from "preact";
import type { ComponentChildren, VNode } from "preact";
import type { Me } from "../answers";
import { zoneTime } from "../state";
import { day, span, state as word, time, utc, visible } from "../words";

/** A moment in the market's time; UTC when it is pointed at. */
export function At({ at, zone, me, now }: { at: string | null | undefined; zone: string; me: Me | null; now: number }) {
  if (!at) return <>–</>;
  const timezone = zoneTime(me, zone);
  return (
    <time dateTime={at} title={utc(at)}>
      {time(at, timezone, day(now, timezone))}
    </time>
  );
}

/** From when to when; the day and the offset are said once where they stay the same. */
export function Period({ from, to, zone, me, now }: { from: string; to: string | null; zone: string; me: Me | null; now: number }) {
  const timezone = zoneTime(me, zone);
  const today = day(now, timezone);
  const [first, last] = [time(from, timezone, today), to ? time(to, timezone, day(from, timezone)) : "open"];
  const offset = first.split(" ").at(-1) ?? "";
  const start = last.endsWith(offset) ? first.slice(0, -offset.length - 1) : first;
  return (
    <time dateTime={from} title={`${utc(from)} to ${to ? utc(to) : "open"}`}>
      {start} – {last}
    </time>
  );
}

export function Countdown({ to, now }: { to: string; now: number }) {
  const left = Date.parse(to) - now;
  return <span class={left > 0 && left < 3e5 ? "soon" : ""}>{left > 0 ? `in ${span(left)}` : `${span(-left)} ago`}</span>;
}

/** A state as a word with a sign: colour is never the only one. */
const SIGNS: Record<string, string> = {
  OPEN: "◌", LIVE: "◌", CLEARING: "◔", ISSUED: "◔", RECEIVED: "◔", TENTATIVE: "◔", PROVISIONAL: "◔",
  AWARDED: "✓", ACCEPTED: "✓", PARTIALLY_AWARDED: "◑", STANDBY: "◑", ACTIVE: "▶", SUSTAINING: "▶", RECOVERING: "▶",
  IN_FORCE: "▶", ENDED: "■", COMPLETED: "■", SETTLED: "■", DELIVERED: "■", FINAL: "■", CORRECTED: "■",
};

export function Standing({ state }: { state: string }) {
  return (
    <span class={`state ${visible(state).toLowerCase()}`}>
      <span aria-hidden="true">{SIGNS[state] ?? "✕"}</span> {word(state)}
    </span>
  );
}

/** One thing that is so, in a list of such. */
export function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A card with a heading; what it lacks is said. */
export function Card({ title, empty, children, wide }: { title: string; empty?: string | false; children?: ComponentChildren; wide?: boolean }) {
  const id = title.toLowerCase().replace(/[^a-z]+/g, "-");
  return (
    <section class={wide ? "card wide" : "card"} aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {empty ? <p class="quiet">{empty}</p> : children}
    </section>
  );
}

/** A table; where the page is narrow, each row is a list of its own, every value with its column's name. */
export function Table({ label, head, children }: { label: string; head: string[]; children: ComponentChildren }) {
  const rows = toChildArray(children).map((row) => (isValidElement(row) ? named(row as Row, head) : row));
  return (
    <div class="scrolls" role="group" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col" class={/MW|amount|price|delivered|ordered|total/i.test(name) ? "number" : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{rows}</tbody>
      </table>
    </div>
  );
}

type Row = VNode<{ children: ComponentChildren }>;

function named(row: Row, head: string[]): VNode {
  const cells = toChildArray(row.props.children).filter((cell) => isValidElement(cell)) as VNode[];
  return cloneElement(row, {}, cells.map((cell, index) => cloneElement(cell, { "data-name": head[index] } as object))) as VNode;
}
