// Who looks? A token is kept by this tab alone, and goes nowhere but to the doors.

import { signIn, signInThere } from "../session";
import type { State } from "../state";
import { Problem } from "./app";

export function SignIn({ state }: { state: State }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    void signIn(String(form.get("token") ?? "").trim());
  };
  const at = state.signInAt;
  return (
    <main class="sign-in">
      <h1>gridsignal console</h1>
      {at?.issuer && (
        <>
          <button type="button" disabled={state.busy} onClick={() => void signInThere(at)}>
            Sign in at {new URL(at.issuer).host}
          </button>
          <p class="quiet">Or with a token:</p>
        </>
      )}
      <form onSubmit={submit} autocomplete="off">
        <label for="token">Token of your organisation</label>
        <textarea id="token" name="token" rows={5} required spellcheck={false} autocomplete="off" aria-describedby="about-token" />
        <p id="about-token" class="quiet">
          It stays in this tab and is forgotten when the tab is closed. <code>gridsignal up</code> prints a link that signs
          you in without it.
        </p>
        <button type="submit" disabled={state.busy}>
          Sign in
        </button>
      </form>
      <Problem sentences={state.refused ? [state.refused] : []} />
    </main>
  );
}
