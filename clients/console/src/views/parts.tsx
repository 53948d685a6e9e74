// Small things that every page is made of.

import { Component, cloneElement, isValidElement, toChildArray } from "preact";
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

/** A table that is longer than this is drawn where it is seen alone, with so many rows beyond on either side. */
const MANY = 80;
const BEYOND = 20;
const STEP = 10;
/** The height of a row before one was drawn, in pixels. */
const GUESSED = 32;

interface TableProps {
  label: string;
  head: string[];
  children: ComponentChildren;
}

/** A table; where the page is narrow, each row is a list of its own, every value with its column's name. */
export class Table extends Component<TableProps, { first: number; shown: number }> {
  state = { first: 0, shown: MANY };
  box: HTMLDivElement | null = null;
  /** Of a row, in pixels: all are as high, where the table scrolls within the page. 0: not known. */
  high = 0;
  rows = 0;
  isPrinted = false;

  hold = (box: HTMLDivElement | null): void => {
    this.box = box;
  };

  look = (): void => {
    const box = this.box;
    const drawn = box ? [...box.querySelectorAll("tbody tr:not(.gap)")] : [];
    const [top, bottom] = [drawn[0], drawn.at(-1)].map((row) => row?.getBoundingClientRect());
    if (!box || !top || !bottom) return;
    this.high ||= (bottom.bottom - top.top) / drawn.length;
    const isWhole = this.isPrinted || box.clientHeight >= box.scrollHeight;
    const first = isWhole ? 0 : Math.max(0, Math.floor(box.scrollTop / this.high / STEP) * STEP - BEYOND);
    const shown = isWhole ? Infinity : Math.ceil(box.clientHeight / this.high / STEP) * STEP + STEP + 2 * BEYOND;
    if (first !== this.state.first || shown !== this.state.shown) this.setState({ first, shown });
  };

  lookAnew = (): void => {
    this.high = 0;
    if (this.rows > MANY) this.look();
  };

  print = (event: Event): void => {
    this.isPrinted = event.type === "beforeprint";
    if (this.isPrinted) this.setState({ first: 0, shown: Infinity });
    else this.lookAnew();
  };

  componentDidMount(): void {
    for (const name of ["beforeprint", "afterprint"]) addEventListener(name, this.print);
    addEventListener("resize", this.lookAnew);
    this.componentDidUpdate();
  }

  /** Only other rows are looked at anew: what is drawn for a look must not ask for the next. */
  componentDidUpdate(): void {
    const rows = toChildArray(this.props.children).length;
    if (rows === this.rows) return;
    this.rows = rows;
    this.lookAnew();
  }

  componentWillUnmount(): void {
    for (const name of ["beforeprint", "afterprint"]) removeEventListener(name, this.print);
    removeEventListener("resize", this.lookAnew);
  }

  render({ label, head, children }: TableProps) {
    const rows = toChildArray(children);
    const isLong = rows.length > MANY;
    const first = isLong ? Math.min(this.state.first, rows.length - 1) : 0;
    const last = isLong ? Math.min(rows.length, first + this.state.shown) : rows.length;
    const seen = rows.slice(first, last).map((row, at) => (isValidElement(row) ? named(row as Row, head, isLong ? first + at + 2 : undefined) : row));
    return (
      <div class="scrolls" role="group" aria-label={label} tabIndex={0} ref={this.hold} onScroll={isLong ? this.look : undefined}>
        <table aria-rowcount={isLong ? rows.length + 1 : undefined}>
          <thead>
            <tr>
              {head.map((name) => (
                <th key={name} scope="col" class={/MW|amount|price|delivered|ordered|total|behind|unreadable|how many/i.test(name) ? "number" : undefined}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <Gap key="before" rows={first} high={this.high || GUESSED} columns={head.length} />
            {seen}
            <Gap key="after" rows={rows.length - last} high={this.high || GUESSED} columns={head.length} />
          </tbody>
        </table>
      </div>
    );
  }
}

/** The place of rows that are not seen. */
function Gap({ rows, high, columns }: { rows: number; high: number; columns: number }) {
  if (!rows) return null;
  return (
    <tr class="gap" aria-hidden="true">
      <td colSpan={columns} style={{ height: `${rows * high}px` }} />
    </tr>
  );
}

type Row = VNode<{ children: ComponentChildren }>;

function named(row: Row, head: string[], index: number | undefined): VNode {
  const cells = toChildArray(row.props.children).filter((cell) => isValidElement(cell)) as VNode[];
  return cloneElement(row, { "aria-rowindex": index } as object, cells.map((cell, at) => cloneElement(cell, { "data-name": head[at] } as object))) as VNode;
}
