// Which trials are best when two metrics count.

import type { Trial } from "../data/model";

/** The trials that no other trial beats in both metrics. */
export function front(
  trials: readonly Trial[],
  x: (trial: Trial) => number | undefined,
  y: (trial: Trial) => number | undefined,
  isLowX: boolean,
  isLowY: boolean,
): Set<Trial> {
  const sx = isLowX ? 1 : -1;
  const sy = isLowY ? 1 : -1;
  const found = trials.filter((trial) => x(trial) !== undefined && y(trial) !== undefined);
  found.sort((a, b) => sx * ((x(a) ?? 0) - (x(b) ?? 0)) || sy * ((y(a) ?? 0) - (y(b) ?? 0)));
  const kept = new Set<Trial>();
  let least = Infinity;
  for (const trial of found) {
    const its = sy * (y(trial) ?? 0);
    if (its < least) {
      least = its;
      kept.add(trial);
    }
  }
  return kept;
}
