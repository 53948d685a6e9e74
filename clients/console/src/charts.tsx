// The two charts: a series over time, in steps, and a book in merit order.

import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { OfferLine, Request } from "./answers";
import { mw, price, state as word, visible } from "./words";

export interface Series {
  label: string;
  points: { from: number; to: number; value: number | null }[];
}

const COLOURS = ["--first", "--second", "--third", "--fourth"];
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

/** Steps over time, with a line where now is; what isn't known is a gap. Times are milliseconds. */
export function Steps({ series, unit, timezone, now, label }: { series: Series[]; unit: string; timezone: string; now: number; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const moment = useRef(now);
  moment.current = now;
  const key = useMemo(() => JSON.stringify(series.map((each) => [each.label, each.points.length, each.points.at(-1)?.to, each.points.map((p) => p.value)])), [series]);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element, series, unit, timezone, () => moment.current), columns(thin(series, element)), element);
    };
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: heightOf(element) }));
    const dark = matchMedia("(prefers-color-scheme: dark)");
    draw();
    resized.observe(element);
    dark.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [key, timezone]);
  const minute = Math.floor(now / 60_000);
  useEffect(() => plot.current?.redraw(false), [minute]);
  return <div class="chart" ref={box} role="img" aria-label={label} />;
}

const thin = (series: Series[], element: HTMLElement): Series[] => series.map((each) => ({ ...each, points: thinned(each.points, 2 * Math.max(300, element.clientWidth)) }));

const heightOf = (element: HTMLElement): number => Math.round(Math.min(420, Math.max(220, element.clientWidth / 3)));

/** As many steps as can be told apart: of those that share a column of pixels the lowest, the highest and a gap stay. */
export function thinned(points: Series["points"], most: number): Series["points"] {
  if (points.length <= most) return points;
  const together = Math.ceil((3 * points.length) / most);
  const kept: Series["points"] = [];
  for (let start = 0; start < points.length; start += together) {
    const bucket = points.slice(start, start + together);
    const known = bucket.filter((each) => each.value !== null);
    const [low, high] = [known.reduce((a, b) => ((b.value ?? 0) < (a.value ?? 0) ? b : a), known[0] as Point), known.reduce((a, b) => ((b.value ?? 0) > (a.value ?? 0) ? b : a), known[0] as Point)];
    const gap = bucket.find((each) => each.value === null);
    const told = [...new Set([low, high, gap])].filter((each) => each !== undefined).sort((a, b) => a.from - b.from);
    const [from, to] = [(bucket[0] as Point).from, (bucket.at(-1) as Point).to];
    told.forEach((each, index) => {
      const at = (share: number) => from + ((to - from) * share) / told.length;
      kept.push({ from: at(index), to: at(index + 1), value: each.value });
    });
  }
  return kept;
}

type Point = Series["points"][number];

/** All series on one time axis, each value held to its end: just before a gap it is said once more, then there is none. */
export function columns(series: Series[]): uPlot.AlignedData {
  const held = series.map(({ points }) => {
    const values = new Map<number, number | null>();
    for (const { from, to, value } of points) {
      if (value !== null) values.set(to - 1, value);
      if (!values.has(to)) values.set(to, null);
      values.set(from, value);
    }
    return values;
  });
  const axis = [...new Set(held.flatMap((values) => [...values.keys()]))].sort((a, b) => a - b);
  // undefined: another series has a moment of its own here, and the line goes on
  return [axis.map((at) => at / 1000), ...held.map((values) => axis.map((at) => values.get(at)))] as uPlot.AlignedData;
}

function options(element: HTMLElement, series: Series[], unit: string, timezone: string, now: () => number): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  const size = Math.max(12, Math.round(parseFloat(style.fontSize) * 0.78)); // whole: uPlot reads it from the font
  const font = `${size}px ${style.fontFamily}`;
  const axis = { stroke: colour("--quiet"), font, grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  return {
    width: element.clientWidth,
    height: heightOf(element),
    tzDate: (at) => uPlot.tzDate(new Date(at * 1e3), timezone),
    padding: [size + 8, size * 2, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, low, high) => around(low, high) } },
    series: [
      {},
      ...series.map((_, index) => ({
        stroke: colour(COLOURS[index % COLOURS.length] as string),
        width: 2,
        dash: DASHES[index % DASHES.length],
        paths: stepped,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    axes: [
      { ...axis, size: size * 3.6, values: [[3600 * 24, "{DD}.{MM}.", null, null, null, null, null, null, 1], [3600, "{HH}:{mm}", "\n{DD}.{MM}.", null, "\n{DD}.{MM}.", null, null, null, 1], [60, "{HH}:{mm}", "\n{DD}.{MM}.", null, "\n{DD}.{MM}.", null, null, null, 1]] },
      { ...axis, label: unit, labelFont: font, labelSize: size * 1.5, size: size * 4.6 },
    ],
    hooks: { draw: [(plot) => drawLines(plot, now() / 1000, font, colour("--now"), colour("--quiet"))] },
  };
}

/** Room above and below, and nought always in sight. */
function around(low: number | null, high: number | null): [number, number] {
  const [bottom, top] = [Math.min(0, low ?? 0), Math.max(0, high ?? 1)];
  const room = (top - bottom || 1) * 0.08;
  return [bottom < 0 ? bottom - room : 0, top + room];
}

function drawLines(plot: uPlot, now: number, font: string, nowColour: string, zeroColour: string): void {
  const { ctx, bbox } = plot;
  const line = (x1: number, y1: number, x2: number, y2: number, colour: string) => {
    ctx.beginPath();
    ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.moveTo(x1, y1);
    ctx.lineTo(x2, y2);
    ctx.stroke();
  };
  ctx.save();
  const zero = plot.valToPos(0, "y", true);
  line(bbox.left, zero, bbox.left + bbox.width, zero, zeroColour);
  const x = plot.valToPos(now, "x", true);
  if (x >= bbox.left && x <= bbox.left + bbox.width) {
    line(x, bbox.top, x, bbox.top + bbox.height, nowColour);
    ctx.fillStyle = nowColour;
    ctx.font = font.replace(/^[\d.]+/, (size) => String(Number(size) * devicePixelRatio));
    ctx.textAlign = "center";
    ctx.fillText("now", x, bbox.top - 6 * devicePixelRatio);
  }
  ctx.restore();
}

/** What the legend of a chart says: name, colour and dash. */
export function Legend({ series }: { series: Series[] }) {
  return (
    <ul class="legend">
      {series.map((each, index) => (
        <li key={each.label}>
          <svg width="28" height="10" aria-hidden="true" class={`stroke-${index % COLOURS.length}`}>
            <line x1="0" y1="5" x2="28" y2="5" stroke-width="2" stroke-dasharray={DASHES[index % DASHES.length]?.join(" ")} />
          </svg>
          {visible(each.label)}
        </li>
      ))}
    </ul>
  );
}

// --- the book --------------------------------------------------------------------------------------------------

export interface Block {
  line: OfferLine;
  from: number;
  width: number;
  at: number;
  kind: "called" | "standing" | "out";
}

const CALLED = new Set(["AWARDED", "TENTATIVE", "DELIVERED", "DEFAULTED"]);
const STANDING = new Set(["LIVE", "STANDBY"]);

/** Each offer as a block: as wide as its power, as high as its effective price; the dearest option where none is chosen. */
export function blocks(offers: OfferLine[]): Block[] {
  let from = 0;
  return offers.flatMap((line) => {
    const option = line.options.find((each) => each.option === line.option) ?? [...line.options].sort((a, b) => b.power_w - a.power_w)[0];
    if (!option) return [];
    const kind = CALLED.has(line.state) ? "called" : STANDING.has(line.state) ? "standing" : "out";
    const width = kind === "called" ? (line.awarded_w ?? option.power_w) : option.power_w;
    const block: Block = { line, from, width, at: Number(option.effective_price_per_mwh ?? option.price_per_mwh), kind };
    from += width;
    return [block];
  });
}

const WIDE = 960;
const NARROW = 440;
const H = 300;
const LEFT = 64;
const BOTTOM = 34;
const TOP = 18;

/** The book in merit order: what is asked for is a line upright, the price cap a line across. */
export function MeritOrder({ request, offers }: { request: Request; offers: OfferLine[] }) {
  const W = innerWidth < 640 ? NARROW : WIDE;
  const all = blocks(offers);
  const cap = request.price_cap_per_mwh == null ? null : Number(request.price_cap_per_mwh);
  const most = Math.max(request.power_w, ...all.map((each) => each.from + each.width)) * 1.04;
  const high = Math.max(1, cap ?? 0, ...all.map((each) => each.at)) * 1.1;
  const low = Math.min(0, ...all.map((each) => each.at)) * 1.1;
  const x = (watts: number) => LEFT + (watts / most) * (W - LEFT - 12);
  const y = (value: number) => TOP + ((high - value) / (high - low)) * (H - TOP - BOTTOM);
  return (
    <svg class="merit" viewBox={`0 0 ${W} ${H}`} role="img" aria-label={`${all.length} offers in merit order; ${mw(request.power_w)} are asked for. The table below has every figure.`}>
      <defs>
        <pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <line x1="0" y1="0" x2="0" y2="7" class="hatch" />
        </pattern>
      </defs>
      {ticks(low, high).map((value) => (
        <g key={value}>
          <line class="grid" x1={LEFT} x2={W - 12} y1={y(value)} y2={y(value)} />
          <text class="tick" x={LEFT - 8} y={y(value) + 4} text-anchor="end">
            {value}
          </text>
        </g>
      ))}
      {ticks(0, most / 1e6).map((value) => (
        <text key={value} class="tick" x={x(value * 1e6)} y={H - BOTTOM + 18} text-anchor="middle">
          {value}
        </text>
      ))}
      <text class="tick" x={W - 12} y={H - 2} text-anchor="end">
        MW
      </text>
      <text class="tick" x={4} y={12}>
        {request.currency}/MWh
      </text>
      {all.map((each) => (
        <rect key={`${each.line.participant}|${each.line.offer_id}`} class={`block ${each.kind}`} x={x(each.from)} width={Math.max(1, x(each.from + each.width) - x(each.from) - 1)} y={Math.min(y(each.at), y(0))} height={Math.max(2, Math.abs(y(each.at) - y(0)))}>
          <title>
            {`${visible(each.line.site)}: ${mw(each.width)} at ${price(String(each.at), request.currency)}, ${word(each.line.state)}`}
          </title>
        </rect>
      ))}
      <line class="asked" x1={x(request.power_w)} x2={x(request.power_w)} y1={TOP} y2={H - BOTTOM} />
      <text class="asked-text" x={x(request.power_w) - 4} y={TOP - 5} text-anchor="end">
        {`asked: ${mw(request.power_w)}`}
      </text>
      {cap !== null && (
        <>
          <line class="cap" x1={LEFT} x2={W - 12} y1={y(cap)} y2={y(cap)} />
          <text class="tick" x={LEFT + 6} y={y(cap) - 5}>
            {`cap ${price(request.price_cap_per_mwh, request.currency)}`}
          </text>
        </>
      )}
      <line class="zero" x1={LEFT} x2={W - 12} y1={y(0)} y2={y(0)} />
    </svg>
  );
}

/** Some five round numbers between two. */
export function ticks(low: number, high: number): number[] {
  const raw = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw) ?? 10 * power;
  const first = Math.ceil(low / step);
  const last = Math.floor(high / step);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}
