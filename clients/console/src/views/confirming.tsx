// Before anything is done: what will happen, in megawatts and money.

import { useEffect, useRef } from "preact/hooks";
import type { State } from "../state";
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
    const reason = new FormData(event.target as HTMLFormElement).get("reason");
    void confirm?.run(String(reason ?? "").trim());
  };
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={dismiss}>
      {confirm && (
        <form onSubmit={submit}>
          <h2 id="confirm-title">{confirm.title}</h2>
          {confirm.lines.map((line) => (
            <p key={line}>{line}</p>
          ))}
          <label for="reason">Reason{confirm.needsReason ? "" : " (may be empty)"}</label>
          <input id="reason" name="reason" maxLength={512} required={confirm.needsReason} autocomplete="off" />
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
