// The console: the state is drawn anew whenever it has changed.

import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { arrive, begin } from "./session";
import { change, whenChanged } from "./state";
import { App } from "./views/app";

const root = document.getElementById("console") as HTMLElement;

function goTo(): void {
  const route = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  change({ route, problem: [] });
  arrive();
}

whenChanged((state) => render(<App state={state} />, root));
addEventListener("hashchange", () => {
  goTo();
  queueMicrotask(() => document.querySelector("h1")?.focus()); // once it is drawn
});
void begin().finally(goTo);
goTo();
