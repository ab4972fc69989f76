// A trial's attempts: why each was, when it waited and when it ran. Pure.

import { duration, statusWord } from "./format";
import { startOf, took, type Cause, type Past, type Status, type Trial } from "./model";

const CAUSES: Record<Cause, string> = {
  first: "first",
  infrastructure: "after a failure of the cluster",
  failure: "after a failure of its own",
  promotion: "promoted: goes on with a larger budget",
  resume: "after the experiment was resumed",
};

/** Why there is an attempt; the manager's own word where this page is older than it. */
export function causeWord(cause: string): string {
  return CAUSES[cause as Cause] ?? cause;
}

export interface Segment {
  number: number;
  cause: string;
  /** From when it waited; undefined where nothing tells: a promotion comes whenever the tuner decides. */
  waitsFrom: number | undefined;
  /** When it began to run; undefined while it has not. */
  from: number | undefined;
  to: number;
  status: Status;
}

/** The attempts in order. `now` is the manager's. */
export function segments(trial: Trial, now: number): Segment[] {
  const { past } = trial;
  const found = past.map((one, place): Segment => {
    const next = past[place + 1]?.cause ?? trial.cause;
    const waitsFrom = since(one.cause, past[place - 1], trial.submitTime);
    return { number: place + 1, cause: one.cause, waitsFrom, from: started(one.startTime, waitsFrom), to: one.endTime, status: endOf(next) };
  });
  const cause = trial.cause ?? "first";
  const waitsFrom = since(cause, past.at(-1), trial.submitTime);
  const from = started(trial.startTime, waitsFrom);
  // The time that a page goes by may be a moment old.
  const to = trial.endTime ?? Math.max(now, from ?? waitsFrom ?? 0);
  found.push({ number: trial.attempt, cause, waitsFrom, from, to, status: trial.status });
  return found;
}

function started(at: number | undefined, waitsFrom: number | undefined): number | undefined {
  return startOf(at, waitsFrom ?? 0);
}

function since(cause: string, before: Past | undefined, submitted: number): number | undefined {
  return cause === "promotion" ? undefined : (before?.endTime ?? submitted);
}

/** How an attempt ended, told from what it was followed by. */
function endOf(next: string | undefined): Status {
  if (next === "promotion") return "SUCCEEDED";
  return next === "resume" ? "SYS_CANCELED" : "FAILED";
}

/** A segment in words. */
export function segmentText(its: Segment, isOnly: boolean): string {
  const which = isOnly ? statusWord(its.status) : `Attempt ${its.number}, ${causeWord(its.cause)}. ${statusWord(its.status)}`;
  const start = its.from ?? its.to;
  const waited = its.waitsFrom === undefined ? "" : `: waited ${duration(start - its.waitsFrom)}`;
  const ran = its.from === undefined ? "" : `${waited ? "," : ":"} ran ${duration(its.to - its.from)}`;
  return which + waited + ran;
}

/** How long all attempts ran, in milliseconds. */
export function ranInAll(trial: Trial, now: number): number {
  // Nearly all trials have one attempt, and there may be many trials.
  if (trial.past.length === 0) return took(trial, now) ?? 0;
  return segments(trial, now).reduce((sum, its) => sum + (its.from === undefined ? 0 : Math.max(0, its.to - its.from)), 0);
}

/** Since when the current attempt has been waiting, or waited before it ran. */
export function waitsSince(trial: Trial): number {
  return trial.past.at(-1)?.endTime ?? trial.submitTime;
}
