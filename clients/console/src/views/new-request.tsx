// A new request, or the next revision of one: seven things are needed, the rest has the door's defaults.

import { useState } from "preact/hooks";
import type { Request, RequestView } from "../answers";
import { act } from "../acting";
import { refresh } from "../session";
import { change, zoneTime } from "../state";
import type { State } from "../state";
import { fromLocal, money, mw, mwh, state as word, time, toLocal, utc, visible, way } from "../words";
import { dismiss } from "./app";
import { CouldAnswer, couldAnswer, inShort } from "./could-answer";

const MINUTE = 60_000;
const TIMES = [
  ["gate_closure_at", "Gate closes", 10],
  ["decision_deadline", "Decided by", 15],
  ["starts_at", "Starts", 45],
  ["ends_at", "Ends", 90],
] as const;

export function NewRequest({ state }: { state: State }) {
  const begun = Math.ceil(state.now / (15 * MINUTE)) * 15 * MINUTE;
  const times = Object.fromEntries(TIMES.map(([name, , minutes]) => [name, begun + minutes * MINUTE]));
  return (
    <>
      <h1 tabIndex={-1}>New request</h1>
      <RequestForm state={state} times={times} />
    </>
  );
}

/** The next revision of a request; what offers were made for stays as it was. */
export function Amend({ state, id }: { state: State; id: string }) {
  const view = state.requests[id];
  if (!view) return <h1 tabIndex={-1}>No such request, or you may not see it</h1>;
  const times = Object.fromEntries(TIMES.map(([name]) => [name, Date.parse(view.request[name])]));
  return (
    <>
      <h1 tabIndex={-1}>Amend a request</h1>
      <p>
        <a href={`#/request/${encodeURIComponent(id)}`}>{visible(view.request.product)}</a> <span class="mono quiet">{id}</span>, revision {view.request.revision}
      </p>
      <RequestForm state={state} times={times} amended={view.request} />
    </>
  );
}

function RequestForm({ state, times, amended }: { state: State; times: Record<string, number>; amended?: Request }) {
  const { me } = state;
  const zone = amended?.zone ?? me?.zones[0]?.zone ?? "";
  const [asked, setAsked] = useState({ zone, starts_at: times.starts_at ?? NaN, ends_at: times.ends_at ?? NaN });
  if (!me) return null;
  const preview = (event: Event) => {
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const of = String(form.get("zone") ?? "");
    const at = (name: string) => fromLocal(String(form.get(name) ?? ""), zoneTime(me, of));
    setAsked({ zone: of, starts_at: at("starts_at"), ends_at: at("ends_at") });
  };
  const submit = (event: Event) => {
    event.preventDefault();
    lookOver(state, new FormData(event.target as HTMLFormElement), amended);
  };
  const timezone = zoneTime(me, zone);
  return (
    <>
      <form class="new" onSubmit={submit} onInput={preview}>
        {amended ? (
          <>
            <input type="hidden" name="zone" value={amended.zone} />
            <input type="hidden" name="direction" value={amended.direction} />
            <input type="hidden" name="run_mode" value={amended.run_mode} />
            <p class="wide quiet">
              {amended.zone}, {way(amended.direction)}, {word(amended.run_mode)}: these stay as they are.
            </p>
          </>
        ) : (
          <>
            <Field name="zone" label="Zone">
              <select id="zone" name="zone">
                {me.zones.map(({ zone }) => (
                  <option key={zone}>{zone}</option>
                ))}
              </select>
            </Field>
            <Field name="direction" label="Sites draw">
              <select id="direction" name="direction">
                <option value="LOAD_DECREASE">less</option>
                <option value="LOAD_INCREASE">more</option>
              </select>
            </Field>
          </>
        )}
        <Field name="power" label="Power, MW">
          <input id="power" name="power" type="number" min="0.001" step="0.001" required inputMode="decimal" defaultValue={amended && String(amended.power_w / 1e6)} />
        </Field>
        <Field name="cap" label="Price cap per MWh (may be empty)">
          <input id="cap" name="cap" type="number" step="0.0001" inputMode="decimal" defaultValue={amended?.price_cap_per_mwh ?? ""} />
        </Field>
        {TIMES.map(([name, label]) => (
          <Field key={name} name={name} label={`${label}, the zone's market time`}>
            <input id={name} name={name} type="datetime-local" required defaultValue={toLocal(times[name] ?? 0, timezone)} />
          </Field>
        ))}
        <Field name="product" label="Product">
          <input id="product" name="product" required maxLength={128} defaultValue={amended?.product ?? "flexibility"} autocomplete="off" />
        </Field>
        {!amended && (
          <Field name="run_mode" label="Run">
            <select id="run_mode" name="run_mode">
              <option value="LIVE">live</option>
              <option value="DRY_RUN">dry run: moves no power</option>
            </select>
          </Field>
        )}
        <Field name="text" label="For people (may be empty)" wide>
          <textarea id="text" name="text" rows={2} maxLength={512} defaultValue={amended?.text} />
        </Field>
        <div class="buttons">
          <button type="submit" disabled={state.busy}>
            Look it over …
          </button>
        </div>
      </form>
      <CouldAnswer state={state} {...asked} />
    </>
  );
}

export function Field({ name, label, wide, children }: { name: string; label: string; wide?: boolean; children: preact.ComponentChildren }) {
  return (
    <div class={wide ? "field wide" : "field"}>
      <label for={name}>{label}</label>
      {children}
    </div>
  );
}

function lookOver(state: State, form: FormData, amended?: Request): void {
  const told = (name: string) => String(form.get(name) ?? "").trim();
  const zone = state.me?.zones.find((each) => each.zone === told("zone"));
  if (!zone) return;
  const times = Object.fromEntries(TIMES.map(([name]) => [name, fromLocal(told(name), zone.timezone)])) as Record<(typeof TIMES)[number][0], number>;
  const lost = TIMES.filter(([name]) => Number.isNaN(times[name]));
  const watts = Math.round(Number(told("power")) * 1e6);
  const wattHours = (watts * (times.ends_at - times.starts_at)) / 36e5;
  const cap = told("cap");
  const body = {
    ...(amended ? asWritten(amended) : {}),
    zone: zone.zone,
    direction: told("direction"),
    power_w: watts,
    ...Object.fromEntries(TIMES.map(([name]) => [name, Number.isNaN(times[name]) ? "" : new Date(times[name]).toISOString()])),
    product: told("product"),
    text: String(form.get("text") ?? ""),
    run_mode: told("run_mode"),
    price_cap_per_mwh: cap || null,
  };
  const key = crypto.randomUUID();
  const most = cap ? `At most ${money(((wattHours / 1e6) * Number(cap)).toFixed(2), zone.currency)} at the price cap.` : "There is no price cap.";
  change({
    problem: lost.map(([, label]) => `${label}: the clocks of ${zone.zone} don't show this time.`),
    confirm: {
      title: `${amended ? "Amend it to" : "Ask for"} ${mw(watts)} ${way(told("direction"))} in ${zone.zone}?`,
      lines: [
        ...(amended ? [`It was ${mw(amended.power_w)}. Who has offered is told, and offers anew where it no longer fits.`] : []),
        `${mwh(wattHours)} in all. ${most}`,
        inShort(couldAnswer(state, zone.zone, times.starts_at, times.ends_at), zone.zone),
        ...TIMES.filter(([name]) => !Number.isNaN(times[name])).map(([name, label]) => `${label}: ${time(times[name], zone.timezone)} (${utc(times[name])})`),
        told("run_mode") === "LIVE" ? "Sites will move power." : "A dry run: no power is moved.",
      ],
      action: amended ? "Amend it" : "Ask for it",
      reason: "none",
      run: async () => {
        const sent = amended
          ? act(`/v1/requests/${encodeURIComponent(amended.request_id)}`, body, { method: "PUT", headers: { "If-Match": `"${amended.revision}"` } })
          : act("/v1/requests", body, { headers: { "Idempotency-Key": key } });
        const made = (await sent) as RequestView | null;
        if (!made) return;
        dismiss();
        await refresh(made.request.request_id);
        location.hash = `#/request/${encodeURIComponent(made.request.request_id)}`;
      },
    },
  });
}

/** A request as it can be sent again: without what the door adds. */
function asWritten({ request_id: _, revision: __, operator: ___, ...written }: Request): object {
  return written;
}
