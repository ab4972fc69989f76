// All trials by columns, as the portal sends them once, and the trials that they make.

import type { Head, Reason, Status, Trial } from "./model";

type Pairs<T> = [place: number, value: T][];

export interface Columns {
  statuses: Status[];
  /** What times are counted from. */
  origin: number;
  id: string[];
  status: number[];
  submitTime: number[];
  startTime: (number | null)[];
  endTime: (number | null)[];
  attempt: Pairs<number>;
  intermediateCount: number[];
  finalValue: (number | null)[];
  lastValue: (number | null)[];
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
  const at = (time: number | null | undefined): number | undefined =>
    time === null || time === undefined ? undefined : columns.origin + time;
  const { parameters } = columns;
  const trials = columns.id.map((trialJobId, place): Trial => {
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
      submitTime: at(columns.submitTime[place]) ?? 0,
      startTime: at(columns.startTime[place]),
      endTime: at(columns.endTime[place]),
      attempt: 1,
      intermediateCount: columns.intermediateCount[place] ?? 0,
      finalValue: columns.finalValue[place] ?? undefined,
      lastValue: columns.lastValue[place] ?? undefined,
      metrics: undefined,
      exitCode: undefined,
      reason: undefined,
    };
  });
  fill(trials, columns.attempt, (trial, attempt) => (trial.attempt = attempt));
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
