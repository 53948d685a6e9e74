// Before anything is done: what will happen, in megawatts and money.

import { useEffect, useRef } from "preact/hooks";
import type { Asked, State } from "../state";
import { change } from "../state";
import { fromLocal, toLocal } from "../words";
import { Problem, dismiss } from "./app";

export function Confirming({ state }: { state: State }) {
  const { confirm } = state;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (confirm && !dialog.current?.open) dialog.current?.showModal();
    if (!confirm && dialog.current?.open) dialog.current.close();
  }, [confirm]);
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const told = (name: string) => String(form.get(name) ?? "").trim();
    const at = confirm?.moment ? fromLocal(told("moment"), confirm.moment.timezone) : NaN;
    if (confirm?.moment && Number.isNaN(at)) return change({ problem: ["The clocks there don't show this time."] });
    void confirm?.run(told("reason"), at, Object.fromEntries((confirm.asks ?? []).map(({ name }) => [name, told(name)])));
  };
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onCancel={dismiss}>
      {confirm && (
        <form onSubmit={submit}>
          <h2 id="confirm-title">{confirm.title}</h2>
          {confirm.lines.map((line) => (
            <p key={line}>{line}</p>
          ))}
          {confirm.moment && (
            <>
              <label for="moment">{confirm.moment.label}</label>
              <input id="moment" name="moment" type="datetime-local" required defaultValue={toLocal(confirm.moment.at, confirm.moment.timezone)} />
            </>
          )}
          {(confirm.asks ?? []).map((each) => (
            <Asking key={each.name} {...each} />
          ))}
          {confirm.reason !== "none" && (
            <>
              <label for="reason">Reason{confirm.reason === "needed" ? "" : " (may be empty)"}</label>
              <input id="reason" name="reason" maxLength={512} required={confirm.reason === "needed"} autocomplete="off" />
            </>
          )}
          <Problem sentences={state.problem} />
          <div class="buttons">
            <button type="button" class="plain" onClick={dismiss}>
              Leave it as it is
            </button>
            <button type="submit" disabled={state.busy}>
              {confirm.action}
            </button>
          </div>
        </form>
      )}
    </dialog>
  );
}

function Asking({ name, label, value, choices, isNeeded, least, most }: Asked) {
  return (
    <>
      <label for={name}>{label}</label>
      {choices ? (
        <select id={name} name={name} required={isNeeded} defaultValue={value}>
          {choices.map(([each, said]) => (
            <option key={each} value={each}>
              {said}
            </option>
          ))}
        </select>
      ) : (
        <input id={name} name={name} type="number" step="any" inputMode="decimal" required={isNeeded} min={least} max={most} defaultValue={value} autocomplete="off" />
      )}
    </>
  );
}
