// How far the experiment is, what it has used, and what needs a look.

import { ranInAll } from "./attempts";
import { STATUSES, isLive, took, type Model, type Status, type Trial } from "./model";

export interface Progress {
  ended: number;
  /** Null when nothing bounds the number. */
  of: number | null;
  /** From 0 to 1, by number or by time, whichever is further; null when nothing bounds it. */
  share: number | null;
  elapsed: number | null;
  /** Milliseconds, a guess; null when there is nothing to guess from. */
  left: number | null;
  /** Whether that is only what the limit of time allows. */
  isAtMost: boolean;
}

const ENDED = STATUSES.filter((status) => status !== "WAITING" && status !== "RUNNING");

export function isPaused(model: Model): boolean {
  return model.experiment.trialConcurrency === 0 && !model.experiment.isOver;
}

export function progress(model: Model, now: number): Progress {
  const { experiment, counts } = model;
  const ended = ENDED.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
  const until = experiment.endTime ?? now + model.ahead;
  const elapsed = experiment.startTime === null ? null : Math.max(0, until - experiment.startTime);
  const of = experiment.maxTrialNumber;
  const most = experiment.maxExperimentSeconds === null ? null : experiment.maxExperimentSeconds * 1000;
  const byNumber = of === null ? null : Math.min(1, ended / of);
  const byTime = most === null || elapsed === null ? null : Math.min(1, elapsed / most);
  const share = byNumber === null ? byTime : Math.max(byNumber, byTime ?? 0);
  const guesses: number[] = [];
  if (of !== null && elapsed !== null && ended > 0) guesses.push((elapsed / ended) * Math.max(0, of - ended));
  if (most !== null && elapsed !== null) guesses.push(Math.max(0, most - elapsed));
  const goesOn = (experiment.status === "RUNNING" && !isPaused(model)) || experiment.status === "NO_MORE_TRIAL";
  const left = goesOn && guesses.length > 0 ? Math.min(...guesses) : null;
  return { ended, of, share, elapsed, left, isAtMost: ended === 0 };
}

export interface Usage {
  /** Of all trials together, in milliseconds. */
  ran: number;
  /** Null where the configuration gives no number. */
  coreHours: number | null;
  gpuHours: number | null;
}

export function usage(model: Model, now: number): Usage {
  const ran = model.trials.reduce((sum, trial) => sum + ranInAll(trial, now), 0);
  const { roles } = model.experiment;
  const cpus = roles.reduce((sum, role) => sum + (role.cpus ?? 0) * role.replicas, 0);
  const gpus = roles.reduce((sum, role) => sum + role.gpus * role.replicas, 0);
  const hours = ran / 3_600_000;
  return { ran, coreHours: cpus > 0 ? hours * cpus : null, gpuHours: gpus > 0 ? hours * gpus : null };
}

export interface Concern {
  kind: "failed" | "waiting" | "silent";
  sentence: string;
  /** The newest trial that it is about, and how many there are. */
  trial: Trial;
  count: number;
}

const WEIGHT: Record<Concern["kind"], number> = { failed: 0, silent: 1, waiting: 2 };

/** What needs a look: why trials failed, which are silent and why trials wait; the same sentence told once. */
export function concerns(model: Model, now: number): Concern[] {
  const found = new Map<string, Concern>();
  const longest = usualTime(model);
  for (let place = model.trials.length - 1; place >= 0; place--) {
    const trial = model.trials[place];
    if (trial === undefined) continue;
    const [kind, sentence] = concernOf(trial, now, longest);
    if (kind === null) continue;
    const known = found.get(kind + sentence);
    if (known) known.count += 1;
    else found.set(kind + sentence, { kind, sentence, trial, count: 1 });
  }
  return [...found.values()].sort((a, b) => WEIGHT[a.kind] - WEIGHT[b.kind]);
}

function concernOf(trial: Trial, now: number, usual: number | null): [Concern["kind"] | null, string] {
  const sentence = trial.reason?.sentence;
  if (trial.status === "FAILED") return ["failed", sentence ?? "It failed, and nothing says why."];
  if (!isLive(trial)) return [null, ""];
  if (sentence !== undefined) return ["waiting", sentence];
  const ran = took(trial, now);
  if (trial.status === "RUNNING" && usual !== null && trial.intermediateCount === 0 && ran !== undefined && ran > usual) {
    return ["silent", "It has run for longer than three trials in four took, without any result."];
  }
  return [null, ""];
}

const FEW = 4;

/** The time that three in four of the trials that succeeded took, a minute at least; null while there are few. */
function usualTime(model: Model): number | null {
  const times: number[] = [];
  for (const trial of model.trials) {
    if (trial.status === "SUCCEEDED" && trial.endTime !== undefined) times.push(took(trial, trial.endTime) ?? 0);
  }
  if (times.length < FEW) return null;
  times.sort((a, b) => a - b);
  return Math.max(60_000, times[Math.floor(times.length * 0.75)] ?? 0);
}

/** How many trials failed for each class of reason, the most frequent first. */
export function failures(model: Model): [kind: string, count: number][] {
  const found = new Map<string, number>();
  for (const trial of model.trials) {
    if (trial.status !== "FAILED") continue;
    const kind = trial.reason?.class ?? "user";
    found.set(kind, (found.get(kind) ?? 0) + 1);
  }
  return [...found].sort((a, b) => b[1] - a[1]);
}

/** The statuses that a page shows: those that are always there, so that it stands still, and any with trials. */
export function shownStatuses(counts: Record<Status, number>, chosen: ReadonlySet<Status>): Status[] {
  const always: readonly Status[] = ["RUNNING", "WAITING", "SUCCEEDED", "FAILED"];
  return STATUSES.filter((status) => always.includes(status) || (counts[status] ?? 0) > 0 || chosen.has(status));
}
