// What the portal sends, and how a page keeps it. Pure: no network, no clock, no document.

import { parse, type Parameters } from "./values";

export type Status =
  | "WAITING"
  | "RUNNING"
  | "SUCCEEDED"
  | "FAILED"
  | "USER_CANCELED"
  | "SYS_CANCELED"
  | "EARLY_STOPPED";

export const STATUSES: readonly Status[] = [
  "RUNNING",
  "WAITING",
  "SUCCEEDED",
  "FAILED",
  "EARLY_STOPPED",
  "USER_CANCELED",
  "SYS_CANCELED",
];

export interface Reason {
  class: "user" | "config" | "capacity" | "infrastructure";
  sentence: string;
  /** Left out in the table of all trials. */
  evidence?: string;
  /** Milliseconds since the epoch, as all times here. */
  since: number;
  /** When the trial is given up unless this mends; null where it is waited for as long as it takes. */
  failsAt?: number | null;
}

export type Cause = "first" | "infrastructure" | "failure" | "promotion" | "resume";

/** An attempt that was followed by another. */
export interface Past {
  cause: Cause;
  startTime?: number;
  endTime: number;
}

/** What all pages know of a trial. */
export interface Trial {
  trialJobId: string;
  /** Counted from 0 in the order of the experiment. */
  sequenceId: number;
  status: Status;
  parameters: Parameters;
  submitTime: number;
  startTime: number | undefined;
  endTime: number | undefined;
  attempt: number;
  /** Of the current attempt; undefined while it is the first. */
  cause: Cause | undefined;
  past: readonly Past[];
  intermediateCount: number;
  finalValue: number | undefined;
  lastValue: number | undefined;
  /** When its last metric came; not known of all that have ended. */
  reportTime: number | undefined;
  /** Numbers beside the default one in a final metric that is a dictionary. */
  metrics: Readonly<Record<string, number>> | undefined;
  exitCode: number | undefined;
  reason: Reason | undefined;
}

/** A trial as the stream and `trial-jobs` have it. */
export interface Row {
  trialJobId: string;
  sequenceId: number;
  status: Status;
  /** JSON text; Python's NaN may be in it. */
  hyperParameters: string[];
  submitTime: number;
  startTime?: number;
  endTime?: number;
  attempt: number;
  cause?: Cause;
  past?: Past[];
  intermediateCount: number;
  finalValue?: number;
  lastValue?: number;
  reportTime?: number;
  metrics?: Record<string, number>;
  exitCode?: number;
  lastLines?: string[];
  job?: string;
  logPath?: string;
  metricPath?: "intake" | "volume";
  reason?: Reason;
}

export interface Replica {
  role: string;
  index: number;
  metrics: number;
  heardAt?: number;
  exitCode?: number;
  stopped?: boolean;
  lastLines?: string[];
}

/** One job that was run for a trial. */
export interface Attempt {
  attempt: number;
  cause: Cause;
  job: string | null;
  startTime?: number;
  endTime?: number;
  reason?: Reason | null;
  exitCode?: number | null;
}

/** What the platform saw of a replica's pod. */
export interface Pod {
  name: string;
  role: string;
  index: number;
  phase: string;
  node: string;
  state: string;
  exitCode: number | null;
}

/** A Kubernetes event about a job or a pod of it. */
export interface Notice {
  about: string;
  reason: string;
  message: string;
  type: "Warning" | "Normal";
  count: number;
  lastTime: number;
}

/** A trial as `trial-jobs/<id>` has it; what a platform does not tell is absent. */
export interface Detail extends Row {
  replicas: Replica[];
  attempts?: Attempt[];
  pods?: Pod[];
  events?: Notice[];
}

export interface Role {
  name: string;
  replicas: number;
  command: string;
  image: string;
  cpus: number | null;
  gpus: number;
}

/** One parameter of the search space, as the user wrote it. */
export interface Dimension {
  _type: string;
  _value: unknown[];
}

/** What was chosen when the experiment began; the stream tells it once. */
export interface Setting {
  roles: Role[];
  searchSpace: Record<string, Dimension>;
  operator: string | null;
  namespace: string | null;
  /** What is better of each key of a metric, where there are several; the first is what trials are compared by. */
  objectives: Record<string, "minimize" | "maximize">;
}

export interface Summary {
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
  /** 0 while the experiment is paused. */
  trialConcurrency: number;
  maxTrialNumber: number | null;
  maxExperimentSeconds: number | null;
  /** What a stop waits for, and what it has left; null where there was none. */
  leaving?: Leaving | null;
}

export interface Leaving {
  jobs: number;
  /** What may be left on the cluster, once it has stopped. */
  left: string | null;
  /** The command that removes what may be left; null where nothing can be. */
  removal: string | null;
}

export type Experiment = Summary & Setting;

export type Part = "tuner" | "platform" | "storage" | "metrics";

export interface Sign {
  part: Part;
  /** `late` is one that has not answered yet, for long. */
  state: "ok" | "late" | "failed" | "unknown";
  heardAt?: number;
  sentence?: string;
  since?: number;
}

/** What comes beside trials. */
export interface Head {
  revision: number;
  now: number;
  experiment: Summary & Partial<Setting>;
  counts: Record<Status, number>;
  best: string | null;
  health: Sign[];
}

/** One event of the stream. */
export interface Change extends Head {
  /** Whether what was known before is to be forgotten. */
  reset: boolean;
  /** Whether more of the same follows at once, so that it is too early to show this. */
  more: boolean;
  trials: Row[];
}

/** All that is known of the experiment. */
export interface Model {
  experiment: Experiment;
  counts: Record<Status, number>;
  best: Trial | null;
  /** By sequence number. Changed in place, for it may be long: `revision` tells one moment from another. */
  trials: Trial[];
  /** Names of parameters in the order of first sight. */
  parameterNames: string[];
  /** Names of further metrics. */
  metricNames: string[];
  health: Sign[];
  revision: number;
  /** Milliseconds that the manager's clock is ahead of this one. */
  ahead: number;
}

/** Most trials have no attempt before: they share this. */
export const NONE: readonly Past[] = [];

const NO_SETTING: Setting = { roles: [], searchSpace: {}, operator: null, namespace: null, objectives: {} };

/** Returns what is known at first: everything. */
export function begin(head: Head, trials: Trial[], now: number): Model {
  const model: Model = {
    experiment: { ...NO_SETTING, ...head.experiment },
    counts: head.counts,
    best: null,
    trials,
    parameterNames: [],
    metricNames: [],
    health: head.health,
    revision: head.revision,
    ahead: head.now - now,
  };
  // Trials that the tuner made have the same parameters; one of a user's own may have others.
  for (const trial of trials) note(model, trial);
  model.best = findTrial(trials, head.best);
  return model;
}

/** Returns what is known after a change. The list of trials is kept and changed in place. */
export function apply(before: Model, change: Change, now: number): Model {
  const model: Model = {
    ...before,
    experiment: { ...before.experiment, ...change.experiment },
    counts: change.counts,
    health: change.health,
    revision: change.revision,
    ahead: change.now - now,
  };
  for (const row of change.trials) {
    const trial = trialOf(row);
    model.trials[trial.sequenceId] = trial;
    note(model, trial);
  }
  if (change.best !== before.best?.trialJobId || change.trials.some((row) => row.trialJobId === change.best)) {
    model.best = findTrial(model.trials, change.best);
  }
  return model;
}

function note(model: Model, trial: Trial): void {
  for (const name in trial.parameters) {
    if (!model.parameterNames.includes(name)) model.parameterNames.push(name);
  }
  for (const name in trial.metrics) {
    if (!model.metricNames.includes(name)) model.metricNames.push(name);
  }
}

export function findTrial(trials: readonly Trial[], id: string | null): Trial | null {
  // Places may be empty while a long change comes in.
  return (id !== null && (trials as (Trial | undefined)[]).find((trial) => trial?.trialJobId === id)) || null;
}

export function trialOf(row: Row): Trial {
  return {
    trialJobId: row.trialJobId,
    sequenceId: row.sequenceId,
    status: row.status,
    parameters: parametersOf(row),
    submitTime: row.submitTime,
    startTime: startOf(row.startTime, row.submitTime),
    endTime: row.endTime,
    attempt: row.attempt,
    cause: row.cause,
    past: row.past ?? NONE,
    intermediateCount: row.intermediateCount,
    finalValue: row.finalValue,
    lastValue: row.lastValue,
    reportTime: row.reportTime,
    metrics: row.metrics,
    exitCode: row.exitCode,
    reason: row.reason,
  };
}

/** A cluster's times are whole seconds: a start may seem to come before what it followed on. */
export function startOf(start: number | undefined, submitted: number): number | undefined {
  return start === undefined ? undefined : Math.max(start, submitted);
}

/** The parameters of a row's current attempt, with all their digits; none when they cannot be read. */
export function parametersOf(row: Pick<Row, "hyperParameters">): Parameters {
  const named = parse(row.hyperParameters.at(-1) ?? "");
  const parameters = (named as { parameters?: unknown } | null)?.parameters;
  return typeof parameters === "object" && parameters !== null ? (parameters as Parameters) : {};
}

/** The metric that a table shows: the final one, else the last one so far. */
export function shownValue(trial: Trial): number | undefined {
  return trial.finalValue ?? trial.lastValue;
}

/** What trials are compared by, in words. */
export function primary({ experiment }: Model): string {
  const [first] = Object.keys(experiment.objectives);
  return first === undefined || first === "default" ? "default metric" : first;
}

export function isLive(trial: Trial): boolean {
  return trial.status === "WAITING" || trial.status === "RUNNING";
}

/** Whether a trial's final metric counts: it ended well, or was promoted, which only trials are that ended well. */
export function hasResult(trial: Trial): boolean {
  const isPromoted = trial.cause === "promotion" || trial.past.some((its) => its.cause === "promotion");
  return trial.finalValue !== undefined && (trial.status === "SUCCEEDED" || isPromoted);
}

/** How long it ran, in milliseconds; to `now` on the manager's clock while it runs. */
export function took(trial: Trial, now: number): number | undefined {
  return trial.startTime === undefined ? undefined : Math.max(0, (trial.endTime ?? now) - trial.startTime);
}

/** The trials with a value that count, by default those with a result; the best first. */
export function ranked(
  { experiment, trials }: { experiment: Experiment; trials: readonly Trial[] },
  value: (trial: Trial) => number | undefined = (its) => its.finalValue,
  counts: (trial: Trial) => boolean = hasResult,
): Trial[] {
  const sign = experiment.maximize ? -1 : 1;
  const found = trials.filter((trial) => counts(trial) && value(trial) !== undefined);
  return found.sort((a, b) => sign * ((value(a) ?? 0) - (value(b) ?? 0)));
}
