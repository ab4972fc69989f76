// What is said against a trial, and which trials the same is said of. Pure.

import type { Trial } from "./model";

/** The field under which trials are found of which the same is said. */
export const LIKE = "like";

/** Why a trial failed or is held up; null where nothing is said. */
export function complaint(trial: Trial): string | null {
  return trial.reason?.sentence ?? (trial.status === "FAILED" ? "It failed, and nothing says why." : null);
}

/** An exit code, which says what it was; an object of ours in the cluster; any word with a digit in it. */
const SINGULAR = /\bexit code \d+|\bnni-exp-[\w.-]*\w|[\w.:/-]*\d(?:[\w.:/-]*\w)?/g;

/** A sentence without what is another for each trial: numbers, ids, names of pods and nodes. */
export function masked(sentence: string, id: string): string {
  return sentence.replaceAll(id, "…").replace(SINGULAR, (found) => (found.startsWith("exit code") ? found : "…"));
}

/** Thousands of sentences take long to mask: what a trial's is stays, for a trial that changes is another object. */
const known = new WeakMap<Trial, string>();

export function likeness(trial: Trial): string | null {
  const before = known.get(trial);
  if (before !== undefined) return before;
  const sentence = complaint(trial);
  if (sentence === null) return null;
  const its = masked(sentence, trial.trialJobId);
  known.set(trial, its);
  return its;
}
