// A new request: seven things are needed, the rest has the door's defaults.

import type { RequestView } from "../answers";
import { act, refresh } from "../session";
import { change } from "../state";
import type { State } from "../state";
import { fromLocal, money, mw, mwh, time, toLocal, utc } from "../words";
import { dismiss } from "./app";

const MINUTE = 60_000;
const TIMES = [
  ["gate_closure_at", "Gate closes", 10],
  ["decision_deadline", "Decided by", 15],
  ["starts_at", "Starts", 45],
  ["ends_at", "Ends", 90],
] as const;

export function NewRequest({ state }: { state: State }) {
  const { me } = state;
  if (!me) return null;
  const first = me.zones[0];
  const begun = Math.ceil(state.now / (15 * MINUTE)) * 15 * MINUTE;
  const submit = (event: Event) => {
    event.preventDefault();
    create(state, new FormData(event.target as HTMLFormElement));
  };
  return (
    <>
      <h1 tabIndex={-1}>New request</h1>
      <form class="new" onSubmit={submit}>
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
        <Field name="power" label="Power, MW">
          <input id="power" name="power" type="number" min="0.001" step="0.001" required inputMode="decimal" />
        </Field>
        <Field name="cap" label="Price cap per MWh (may be empty)">
          <input id="cap" name="cap" type="number" step="0.0001" inputMode="decimal" />
        </Field>
        {TIMES.map(([name, label, minutes]) => (
          <Field key={name} name={name} label={`${label}, the zone's market time`}>
            <input id={name} name={name} type="datetime-local" required defaultValue={toLocal(begun + minutes * MINUTE, first?.timezone ?? "UTC")} />
          </Field>
        ))}
        <Field name="product" label="Product">
          <input id="product" name="product" required maxLength={128} defaultValue="flexibility" autocomplete="off" />
        </Field>
        <Field name="run_mode" label="Run">
          <select id="run_mode" name="run_mode">
            <option value="LIVE">live</option>
            <option value="DRY_RUN">dry run: moves no power</option>
          </select>
        </Field>
        <Field name="text" label="For people (may be empty)" wide>
          <textarea id="text" name="text" rows={2} maxLength={512} />
        </Field>
        <div class="buttons">
          <button type="submit" disabled={state.busy}>
            Look it over …
          </button>
        </div>
      </form>
    </>
  );
}

function Field({ name, label, wide, children }: { name: string; label: string; wide?: boolean; children: preact.ComponentChildren }) {
  return (
    <div class={wide ? "field wide" : "field"}>
      <label for={name}>{label}</label>
      {children}
    </div>
  );
}

function create(state: State, form: FormData): void {
  const told = (name: string) => String(form.get(name) ?? "").trim();
  const zone = state.me?.zones.find((each) => each.zone === told("zone"));
  if (!zone) return;
  const times = Object.fromEntries(TIMES.map(([name]) => [name, fromLocal(told(name), zone.timezone)])) as Record<(typeof TIMES)[number][0], number>;
  const lost = TIMES.filter(([name]) => Number.isNaN(times[name]));
  const watts = Math.round(Number(told("power")) * 1e6);
  const wattHours = (watts * (times.ends_at - times.starts_at)) / 36e5;
  const cap = told("cap");
  const body = {
    zone: zone.zone,
    direction: told("direction"),
    power_w: watts,
    ...Object.fromEntries(TIMES.map(([name]) => [name, Number.isNaN(times[name]) ? "" : new Date(times[name]).toISOString()])),
    product: told("product"),
    text: String(form.get("text") ?? ""),
    run_mode: told("run_mode"),
    ...(cap ? { price_cap_per_mwh: cap } : {}),
  };
  const key = crypto.randomUUID();
  const most = cap ? `At most ${money(((wattHours / 1e6) * Number(cap)).toFixed(2), zone.currency)} at the price cap.` : "There is no price cap.";
  change({
    problem: lost.map(([, label]) => `${label}: the clocks of ${zone.zone} don't show this time.`),
    confirm: {
      title: `Ask for ${mw(watts)} ${told("direction") === "LOAD_DECREASE" ? "less" : "more"} in ${zone.zone}?`,
      lines: [
        `${mwh(wattHours)} in all. ${most}`,
        ...TIMES.filter(([name]) => !Number.isNaN(times[name])).map(([name, label]) => `${label}: ${time(times[name], zone.timezone)} (${utc(times[name])})`),
        told("run_mode") === "LIVE" ? "Sites will move power." : "A dry run: no power is moved.",
      ],
      action: "Ask for it",
      needsReason: false,
      run: async () => {
        const made = (await act("/v1/requests", body, { "Idempotency-Key": key })) as RequestView | null;
        if (!made) return;
        dismiss();
        await refresh(made.request.request_id);
        location.hash = `#/request/${encodeURIComponent(made.request.request_id)}`;
      },
    },
  });
}
