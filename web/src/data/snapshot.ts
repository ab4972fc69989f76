// All trials by columns, as the portal sends them once, and the trials that they make.

import { NONE, startOf, type Cause, type Head, type Reason, type Status, type Trial } from "./model";

type Pairs<T> = [place: number, value: T][];

export interface Columns {
  statuses: Status[];
  /** What the first time is counted from. */
  origin: number;
  /** Milliseconds in which times are given. */
  tick: number;
  id: string[];
  status: number[];
  /** Each from the one before. */
  submitTime: number[];
  /** From the trial's own submission. */
  startTime: (number | null)[];
  endTime: (number | null)[];
  attempt: Pairs<number>;
  cause: Pairs<Cause>;
  past: Pairs<[cause: Cause, startTime: number | null, endTime: number][]>;
  reportTime: Pairs<number>;
  intermediateCount: number[];
  finalValue: (number | null)[];
  lastValue: Pairs<number>;
  metrics: { name: string; values: Pairs<number> }[];
  exitCode: Pairs<number>;
  reasons: Pick<Reason, "class" | "sentence">[];
  reason: [place: number, which: number, since: number][];
  parameters: { name: string; values: unknown[] }[];
}

export interface Snapshot extends Head {
  /** Where in the stream to listen on. */
  place: string;
  trials: Columns;
}

export function trialsOf(columns: Columns): Trial[] {
  const { parameters, tick } = columns;
  let submitTime = Math.floor(columns.origin / tick) * tick;
  const at = (time: number | null | undefined): number | undefined =>
    time === null || time === undefined ? undefined : submitTime + time * tick;
  const trials = columns.id.map((trialJobId, place): Trial => {
    submitTime += (columns.submitTime[place] ?? 0) * tick;
    const own: Record<string, unknown> = {};
    for (const { name, values } of parameters) {
      const value = values[place];
      if (value !== null && value !== undefined) own[name] = value;
    }
    return {
      trialJobId,
      sequenceId: place,
      status: columns.statuses[columns.status[place] ?? 0] ?? "WAITING",
      parameters: own,
      submitTime,
      startTime: startOf(at(columns.startTime[place]), submitTime),
      endTime: at(columns.endTime[place]),
      attempt: 1,
      cause: undefined,
      past: NONE,
      intermediateCount: columns.intermediateCount[place] ?? 0,
      finalValue: columns.finalValue[place] ?? undefined,
      lastValue: undefined,
      reportTime: undefined,
      metrics: undefined,
      exitCode: undefined,
      reason: undefined,
    };
  });
  fill(trials, columns.attempt, (trial, attempt) => (trial.attempt = attempt));
  fill(trials, columns.cause, (trial, cause) => (trial.cause = cause));
  fill(trials, columns.past, (trial, past) => {
    trial.past = past.map(([cause, start, end]) => ({
      cause,
      ...(start === null ? {} : { startTime: trial.submitTime + start * tick }),
      endTime: trial.submitTime + end * tick,
    }));
  });
  fill(trials, columns.reportTime, (trial, time) => (trial.reportTime = trial.submitTime + time * tick));
  fill(trials, columns.lastValue, (trial, value) => (trial.lastValue = value));
  fill(trials, columns.exitCode, (trial, code) => (trial.exitCode = code));
  for (const { name, values } of columns.metrics) {
    fill(trials, values, (trial, value) => (trial.metrics = { ...trial.metrics, [name]: value }));
  }
  for (const [place, which, since] of columns.reason) {
    const known = columns.reasons[which];
    const trial = trials[place];
    if (trial && known) trial.reason = { ...known, since };
  }
  return trials;
}

function fill<T>(trials: Trial[], pairs: Pairs<T>, put: (trial: Trial, value: T) => void): void {
  for (const [place, value] of pairs) {
    const trial = trials[place];
    if (trial) put(trial, value);
  }
}
