// How far the experiment is, what it has used, and what needs a look.

import { ranInAll } from "./attempts";
import { complaint, likeness, LIKE, masked } from "./complaint";
import { duration } from "./format";
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
  /** Stays the same while it is of other trials. */
  key: string;
  kind: "failed" | "waiting" | "silent";
  /** Of the newest trial that it is about. */
  sentence: string;
  /** From when it has been so, of that trial. */
  since: number;
  trial: Trial;
  /** How many trials it is about. */
  count: number;
}

const WEIGHT: Record<Concern["kind"], number> = { failed: 0, silent: 1, waiting: 2 };

type Finding = Pick<Concern, "kind" | "sentence" | "since">;

/** What needs a look: why trials failed, which are silent and why trials wait; like sentences are told once. */
export function concerns(model: Model, now: number): Concern[] {
  const usual = { time: usualTime(model), interval: usualInterval(model) };
  return gathered(model, (trial) => failure(trial) ?? waiting(trial) ?? silence(trial, now, usual)).sort((a, b) => WEIGHT[a.kind] - WEIGHT[b.kind]);
}

/** Why trials wait, and nothing else that needs a look. */
export function waits(model: Model): Concern[] {
  return gathered(model, waiting);
}

function gathered(model: Model, find: (trial: Trial) => Finding | null): Concern[] {
  const found = new Map<string, Concern>();
  for (let place = model.trials.length - 1; place >= 0; place--) {
    const trial = model.trials[place];
    const finding = trial && find(trial);
    if (!finding) continue;
    const key = finding.kind + (likeness(trial) ?? masked(finding.sentence, trial.trialJobId));
    const known = found.get(key);
    if (known) known.count += 1;
    else found.set(key, { ...finding, key, trial, count: 1 });
  }
  return [...found.values()];
}

interface Usual {
  /** Milliseconds that trials take, and that lie between two reports; null while too little is known. */
  time: number | null;
  interval: number | null;
}

function failure(trial: Trial): Finding | null {
  return trial.status === "FAILED" ? { kind: "failed", sentence: complaint(trial) ?? "", since: trial.reason?.since ?? 0 } : null;
}

function waiting(trial: Trial): Finding | null {
  return isLive(trial) && trial.reason ? { kind: "waiting", sentence: trial.reason.sentence, since: trial.reason.since } : null;
}

const PATIENCE = 5;
/** Milliseconds without a report that say nothing, however often there was one. */
const SHORT = 5 * 60_000;
/** So many reports of a trial say how often it reports. */
const SOME = 3;

/** Says that a running trial has reported nothing for long: for what others took, or many times its own interval. */
function silence(trial: Trial, now: number, usual: Usual): Finding | null {
  const { startTime, reportTime, intermediateCount } = trial;
  if (trial.status !== "RUNNING" || startTime === undefined) return null;
  if (reportTime === undefined) {
    if (intermediateCount > 0 || usual.time === null || now - startTime <= usual.time) return null;
    return { kind: "silent", sentence: "It has run for longer than three trials in four took, without any result.", since: startTime };
  }
  const own = (reportTime - startTime) / Math.max(1, intermediateCount);
  const interval = intermediateCount < SOME ? Math.max(own, usual.interval ?? 0) : own;
  if (now - reportTime <= Math.max(PATIENCE * interval, SHORT)) return null;
  const often = intermediateCount < SOME ? "" : `; a report came about every ${duration(Math.max(1000, interval))} before`;
  return { kind: "silent", sentence: `It has fallen silent, though it runs${often}.`, since: reportTime };
}

const FEW = 4;

/** The time that three in four of the trials that succeeded took, a minute at least; null while there are few. */
function usualTime(model: Model): number | null {
  return share(model, 0.75, (_, time) => Math.max(60_000, time));
}

/** The time between two reports, in the middle of what it was in trials that succeeded. */
function usualInterval(model: Model): number | null {
  return share(model, 0.5, (trial, time) => (trial.intermediateCount > 0 ? time / trial.intermediateCount : null));
}

/** Of a value of each trial that succeeded, what a share of them does not exceed; null while there are few. */
function share(model: Model, of: number, value: (trial: Trial, time: number) => number | null): number | null {
  const found: number[] = [];
  for (const trial of model.trials) {
    if (trial.status !== "SUCCEEDED" || trial.endTime === undefined) continue;
    const its = value(trial, took(trial, trial.endTime) ?? 0);
    if (its !== null) found.push(its);
  }
  if (found.length < FEW) return null;
  found.sort((a, b) => a - b);
  return found[Math.floor(found.length * of)] ?? null;
}

const SILENT = [
  ["sort", "-silent"],
  ["columns", "number,id,status,silent,results,metric,duration,started"],
] as const;

/** The trials' page with the trials that are like one that needs a look. */
export function alike({ kind, trial }: Concern): string {
  const query = new URLSearchParams();
  if (kind === "failed") query.append("status", "FAILED");
  else for (const status of kind === "silent" ? ["RUNNING"] : ["WAITING", "RUNNING"]) query.append("status", status);
  if (kind === "silent") for (const [name, value] of SILENT) query.append(name, value);
  else query.append("where", `${LIKE}=${likeness(trial) ?? ""}`);
  return `detail?${query}`;
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
