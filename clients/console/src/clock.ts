// Grid time: what the door said when it was asked last, and what has passed since, at the grid's own rate.

import type { Me } from "./answers";

let clock = { grid: Date.now(), at: performance.now(), rate: 1 };

export const gridNow = (): number => clock.grid + (performance.now() - clock.at) * clock.rate;
export const gridRate = (): number => clock.rate;

export function setClock(me: Me): void {
  clock = { grid: Date.parse(me.now), at: performance.now(), rate: me.rate };
}
