// What the portal sends, and how a page keeps it. Pure: no network, no clock, no document.

export type Status =
  | "WAITING"
  | "RUNNING"
  | "SUCCEEDED"
  | "FAILED"
  | "USER_CANCELED"
  | "SYS_CANCELED"
  | "EARLY_STOPPED";

export interface Reason {
  class: "user" | "config" | "capacity" | "infrastructure";
  sentence: string;
  evidence: string;
  /** Milliseconds since the epoch, as all times here. */
  since: number;
}

export interface Trial {
  trialJobId: string;
  /** Counted from 0 in the order of the experiment. */
  sequenceId: number;
  status: Status;
  /** JSON text; Python's NaN may be in it. */
  hyperParameters: string[];
  submitTime: number;
  startTime?: number;
  endTime?: number;
  attempt: number;
  intermediateCount: number;
  finalValue?: number;
  lastValue?: number;
  exitCode?: number;
  lastLines?: string[];
  job?: string;
  logPath?: string;
  metricPath?: "intake" | "volume";
  reason?: Reason;
}

export interface Experiment {
  id: string;
  name: string | null;
  status: string;
  isOver: boolean;
  errors: string[];
  startTime: number | null;
  endTime: number | null;
  platform: string;
  version: string;
  tuner: string | null;
  maximize: boolean;
  trialNumber: number;
  trialConcurrency: number;
  maxTrialNumber: number | null;
  maxExperimentSeconds: number | null;
}

/** One event of the stream. */
export interface Change {
  /** Whether what was known before is to be forgotten. */
  reset: boolean;
  /** Whether more of the same follows at once, so that it is too early to show this. */
  more: boolean;
  revision: number;
  now: number;
  experiment: Experiment;
  counts: Record<Status, number>;
  best: string | null;
  trials: Trial[];
}

/** All that is known of the experiment. */
export interface Model {
  experiment: Experiment;
  counts: Record<Status, number>;
  best: Trial | null;
  /** By sequence number; a place may be empty while the first events come in. */
  trials: (Trial | undefined)[];
  revision: number;
  /** Milliseconds that the manager's clock is ahead of this one. */
  ahead: number;
}

/** Returns what is known after a change. The list of trials is kept and changed in place: it may be long. */
export function apply(before: Model | null, change: Change, now: number): Model {
  const trials = before === null || change.reset ? [] : before.trials;
  for (const trial of change.trials) trials[trial.sequenceId] = trial;
  const best = change.trials.find((trial) => trial.trialJobId === change.best);
  return {
    experiment: change.experiment,
    counts: change.counts,
    best: best ?? (before?.best?.trialJobId === change.best ? before.best : findTrial(trials, change.best)),
    trials,
    revision: change.revision,
    ahead: change.now - now,
  };
}

function findTrial(trials: Model["trials"], id: string | null): Trial | null {
  return (id !== null && trials.find((trial) => trial?.trialJobId === id)) || null;
}

/** The metric that a table shows: the final one, else the last one so far. */
export function shownValue(trial: Trial): number | undefined {
  return trial.finalValue ?? trial.lastValue;
}

const READ = new WeakMap<Trial, [string, unknown][]>();

/** Parameters by name, in the order in which the tuner gave them; none when they cannot be read. */
export function parametersOf(trial: Trial): [string, unknown][] {
  let known = READ.get(trial);
  if (known === undefined) READ.set(trial, (known = readParameters(trial)));
  return known;
}

function readParameters(trial: Trial): [string, unknown][] {
  const text = trial.hyperParameters[0] ?? "";
  const named = parse(text) ?? parse(text.replace(/([[:,])(NaN|-?Infinity)(?=[,}\]])/g, '$1"$2"'));
  const parameters = (named as { parameters?: unknown } | null)?.parameters;
  return typeof parameters === "object" && parameters !== null ? Object.entries(parameters) : [];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export type Order = "newest" | "best";

/** The trials that a table shows: of the given statuses (all when there is none), in order, `most` at the most. */
export function shownTrials(model: Model, statuses: ReadonlySet<Status>, order: Order, most: number): Trial[] {
  const sign = model.experiment.maximize ? -1 : 1;
  const found: Trial[] = [];
  for (let place = model.trials.length - 1; place >= 0; place--) {
    const trial = model.trials[place];
    if (trial === undefined || (statuses.size > 0 && !statuses.has(trial.status))) continue;
    if (order === "best" && shownValue(trial) === undefined) continue;
    found.push(trial);
    if (order === "newest" && found.length === most) break;
  }
  if (order === "best") found.sort((a, b) => sign * ((shownValue(a) ?? 0) - (shownValue(b) ?? 0)));
  return found.slice(0, most);
}

export interface Concern {
  kind: "failed" | "waiting";
  sentence: string;
  /** The newest trial that it is about, and how many there are. */
  trial: Trial;
  count: number;
}

/** What needs a look: why trials failed and why trials wait, the same sentence told once. */
export function concerns(model: Model): Concern[] {
  const found = new Map<string, Concern>();
  for (let place = model.trials.length - 1; place >= 0; place--) {
    const trial = model.trials[place];
    const sentence = trial?.reason?.sentence;
    if (trial === undefined || sentence === undefined) continue;
    if (trial.status !== "FAILED" && trial.status !== "WAITING" && trial.status !== "RUNNING") continue;
    const kind = trial.status === "FAILED" ? "failed" : "waiting";
    const known = found.get(kind + sentence);
    if (known) known.count += 1;
    else found.set(kind + sentence, { kind, sentence, trial, count: 1 });
  }
  return [...found.values()].sort((a, b) => (a.kind === b.kind ? 0 : a.kind === "failed" ? -1 : 1));
}

/** How far the experiment is. */
export interface Progress {
  ended: number;
  /** Null when nothing bounds the number. */
  of: number | null;
  /** From 0 to 1, by number or by time, whichever is further; null when nothing bounds it. */
  share: number | null;
  elapsed: number | null;
  /** Milliseconds, a guess; null when there is nothing to guess from. */
  left: number | null;
}

const ENDED: readonly Status[] = ["SUCCEEDED", "FAILED", "USER_CANCELED", "SYS_CANCELED", "EARLY_STOPPED"];

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
  const goesOn = experiment.status === "RUNNING" || experiment.status === "NO_MORE_TRIAL";
  const left = goesOn && guesses.length > 0 ? Math.min(...guesses) : null;
  return { ended, of, share, elapsed, left };
}
