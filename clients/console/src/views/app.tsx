// The frame of every page: who looks, what time it is, whether what is seen is of now.

import type { Link, State } from "../state";
import { change, mayAct } from "../state";
import { signOut } from "../session";
import { span, time, utc, visible } from "../words";
import { Confirming } from "./confirming";
import { NewRequest } from "./new-request";
import { RequestPage } from "./request";
import { Room } from "./room";
import { SignIn } from "./sign-in";
import { Site } from "./site";

const SAID: Record<Link, string> = {
  connecting: "connecting",
  "catching up": "catching up",
  live: "live",
  broken: "connection broken, trying again",
};

export function App({ state }: { state: State }) {
  const { me } = state;
  if (!me) return <SignIn state={state} />;
  const stale = state.link !== "live";
  return (
    <div class={stale ? "page stale" : "page"}>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Header state={state} />
      <p class="notice" role="status">
        {stale && state.loaded ? `As of ${asOf(state)}. ` : ""}
        {visible(state.notice)}
      </p>
      <main id="main" tabIndex={-1}>
        {state.loaded ? <Page state={state} /> : <p>Reading what there is …</p>}
      </main>
      <Confirming state={state} />
    </div>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

const zoneOf = (state: State): string => state.me?.zones[0]?.timezone ?? "UTC";

function asOf(state: State): string {
  const ago = span(state.now - state.wholeAt);
  return `${time(state.wholeAt, zoneOf(state), undefined, true)}, ${ago} ago`;
}

function Page({ state }: { state: State }) {
  const [where, id] = state.route;
  if (where === "request" && id) return <RequestPage state={state} id={id} />;
  if (where === "new" && state.me && mayAct(state.me)) return <NewRequest state={state} />;
  return state.me?.role === "operator" && where !== "zones" ? <Room state={state} /> : <Site state={state} />;
}

function Header({ state }: { state: State }) {
  const { me, now, link, route } = state;
  if (!me) return null;
  const at = (name: string) => ((route[0] ?? "") === name ? "page" : undefined);
  return (
    <header>
      <span class="brand">
        <img src="/console/icon.svg" alt="" width="24" height="24" /> gridsignal
      </span>
      <nav aria-label="Pages">
        <a href="#/" aria-current={at("")}>
          {me.role === "operator" ? "Control room" : "Data center"}
        </a>
        {me.role === "operator" && (
          <a href="#/zones" aria-current={at("zones")}>
            Prices and carbon
          </a>
        )}
        {mayAct(me) && (
          <a href="#/new" aria-current={at("new")}>
            New request
          </a>
        )}
      </nav>
      <span class="clock" title={utc(now)}>
        {time(now, zoneOf(state), undefined, true)}
        {me.rate !== 1 && <span class="quiet"> × {me.rate}</span>}
      </span>
      <span class={`link ${link.replace(" ", "-")}`}>
        <span aria-hidden="true">{link === "live" ? "●" : link === "broken" ? "✕" : "◌"}</span> {SAID[link]}
      </span>
      <span class="who">
        {visible(me.organisation)}
        <button type="button" class="plain" onClick={() => signOut()}>
          Sign out
        </button>
      </span>
    </header>
  );
}

/** What was refused, in the door's words. */
export function Problem({ sentences }: { sentences: string[] }) {
  if (!sentences.length) return null;
  return (
    <div class="problem" role="alert">
      {sentences.map((sentence) => (
        <p key={sentence}>{sentence}</p>
      ))}
    </div>
  );
}

export const dismiss = (): void => change({ problem: [], confirm: null });
