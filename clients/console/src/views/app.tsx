// The frame of every page: who looks, what time it is, whether what is seen is of now.

import type { Link, State } from "../state";
import { change, mayAct, maySeeOperations } from "../state";
import { signOut } from "../session";
import { span, time, utc, visible } from "../words";
import { Confirming } from "./confirming";
import { AlertPage, AlertsPage } from "./alerts";
import { Feeds } from "./feeds";
import { Find } from "./find";
import { OperationsPage } from "./operations";
import { Issue } from "./issue";
import { Amend, NewRequest } from "./new-request";
import { OfferPage } from "./offer";
import { OrderPage } from "./order";
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
  const [where, id, ...rest] = state.route;
  if (where === "request" && id) return <RequestPage state={state} id={id} />;
  if (where === "offer" && id) return <OfferPage state={state} id={id} />;
  if (where === "order" && id) return <OrderPage state={state} id={id} />;
  if (where === "alert" && rest.length === 2 && id) return <AlertPage state={state} name={[id, ...rest]} />;
  if (where === "alerts") return <AlertsPage state={state} />;
  if (where === "find") return <Find state={state} />;
  if (where === "feeds" && hasFeeds(state.me)) return <Feeds state={state} />;
  if (where === "operations" && state.me && maySeeOperations(state.me)) return <OperationsPage state={state} />;
  if (where === "issue") return <Issue state={state} />;
  if (where === "new" && state.me && mayAct(state.me)) return <NewRequest state={state} />;
  if (where === "amend" && id && state.me && mayAct(state.me)) return <Amend key={id} state={state} id={id} />;
  return state.me?.role === "operator" && where !== "zones" ? <Room state={state} /> : <Site state={state} />;
}

const hasFeeds = (me: State["me"]): boolean => me?.role === "operator" && me.ingest !== null;

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
        <a href="#/alerts" aria-current={at("alerts")}>
          Alerts
        </a>
        {me.role === "operator" && (
          <a href="#/zones" aria-current={at("zones")}>
            Prices and carbon
          </a>
        )}
        <a href="#/find" aria-current={at("find")}>
          Find an order
        </a>
        {hasFeeds(me) && (
          <a href="#/feeds" aria-current={at("feeds")}>
            Feeds
          </a>
        )}
        {maySeeOperations(me) && (
          <a href="#/operations" aria-current={at("operations")}>
            Operations
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
