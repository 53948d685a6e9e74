// A new alert, or a drill.

import type { Alert } from "../answers";
import { pushAlert } from "../acting";
import { change, mayPush } from "../state";
import type { State } from "../state";
import { span, time } from "../words";
import { alertPage } from "../watching";
import { dismiss } from "./app";
import { Field } from "./new-request";

const KINDS = ["GRID_EMERGENCY", "FLEX_ALERT", "RESERVE_SHORTFALL", "MINIMUM_LOAD", "SURPLUS", "WEATHER", "DISTURBANCE", "OTHER"];
const ACTIONS: Record<string, string> = {
  INFORM: "know of it",
  PREPARE: "prepare",
  SHED: "shed load",
  RAISE: "take more",
  RESTORE_FORBIDDEN: "not come back yet",
  HOLD: "hold: no pause, no resume, no battery switched",
};
/** Within which an acknowledgement is asked for, where sites have to move or to hold. */
const WITHIN_S = 60;
const MINUTE = 60_000;

export function Issue({ state }: { state: State }) {
  const { me } = state;
  if (!me || !mayPush(me)) return <h1 tabIndex={-1}>Your token may not issue alerts</h1>;
  const submit = (event: Event) => {
    event.preventDefault();
    issue(state, new FormData(event.target as HTMLFormElement));
  };
  return (
    <>
      <h1 tabIndex={-1}>Issue an alert</h1>
      <form class="new" onSubmit={submit}>
        <Field name="zone" label="Zone">
          <select id="zone" name="zone">
            {me.zones.map(({ zone }) => (
              <option key={zone}>{zone}</option>
            ))}
          </select>
        </Field>
        <Field name="is_drill" label="Is it an exercise?">
          <select id="is_drill" name="is_drill">
            <option value="">no: it is real</option>
            <option value="yes">yes: a drill, on which nobody acts</option>
          </select>
        </Field>
        <Field name="kind" label="What is the matter">
          <select id="kind" name="kind">
            {KINDS.map((kind) => (
              <option key={kind} value={kind}>
                {kind.replaceAll("_", " ").toLowerCase()}
              </option>
            ))}
          </select>
        </Field>
        <Field name="action" label="Sites are asked to">
          <select id="action" name="action">
            {Object.entries(ACTIONS).map(([action, label]) => (
              <option key={action} value={action}>
                {label}
              </option>
            ))}
          </select>
        </Field>
        <Field name="minutes" label="For how many minutes (empty: until you end it)">
          <input id="minutes" name="minutes" type="number" min="1" max="10080" step="1" inputMode="numeric" />
        </Field>
        <Field name="text" label="What people read" wide>
          <textarea id="text" name="text" rows={2} maxLength={512} required />
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

function issue(state: State, form: FormData): void {
  const told = (name: string) => String(form.get(name) ?? "").trim();
  const zone = state.me?.zones.find((each) => each.zone === told("zone"));
  if (!zone) return;
  const [action, isDrill, minutes] = [told("action"), told("is_drill") === "yes", Number(told("minutes"))];
  const now = new Date(state.now).toISOString();
  const asksForWord = action === "SHED" || action === "HOLD";
  const alert = {
    alert_id: crypto.randomUUID(),
    zone: zone.zone,
    kind: told("kind"),
    level: action === "INFORM" ? 1 : action === "PREPARE" ? 2 : 3,
    action,
    issued_at: now,
    starts_at: now,
    ...(minutes ? { ends_at: new Date(state.now + minutes * MINUTE).toISOString() } : {}),
    is_drill: isDrill,
    text: told("text"),
    ...(asksForWord ? { acknowledge_within_s: WITHIN_S } : {}),
    provider: state.me?.organisation ?? "",
    revision: 1,
  } satisfies Alert & Record<string, unknown>;
  change({
    problem: [],
    confirm: {
      title: `${isDrill ? "Start a drill" : "Alert every site"} in ${zone.zone}?`,
      lines: [
        `They are asked to ${ACTIONS[action]}. ${isDrill ? "It is marked as an exercise, on which nobody acts." : "It is real."}`,
        minutes ? `It ends by itself after ${span(minutes * MINUTE)}, at ${time(state.now + minutes * MINUTE, zone.timezone)}.` : "It stays in force until you end it.",
        ...(asksForWord ? ["Each site has to acknowledge it within a minute."] : []),
      ],
      action: isDrill ? "Start the drill" : "Issue the alert",
      reason: "none",
      run: async () => {
        if ((await pushAlert(alert, false)) === null) return;
        dismiss();
        location.hash = alertPage(alert);
      },
    },
  });
}
