// One sentence about a trial: what is going on, and why.

import { waitsSince } from "./attempts";
import { ago, duration, metric, plural } from "./format";
import { hasResult, took, type Model, type Trial } from "./model";

export function verdict(trial: Trial, model: Model, now: number): string {
  const time = took(trial, now);
  const which = trial.attempt > 1 ? ` in attempt ${trial.attempt}` : "";
  const ran = time === undefined ? which : ` after ${duration(time)}${which}`;
  const why = trial.reason ? ` ${trial.reason.sentence}` : "";
  switch (trial.status) {
    case "WAITING":
      return `It has been waiting for ${duration(now - waitsSince(trial))}.${why || " Its job has just been sent."}`;
    case "RUNNING":
      return running(trial, now, why, which);
    case "SUCCEEDED":
      return trial.finalValue === undefined ? `It ended${ran}.${why}` : succeeded(trial, model, ran);
    case "FAILED":
      return `It failed${ran}.${why}`;
    case "EARLY_STOPPED":
      return `It was stopped early${ran}.${why}`;
    case "USER_CANCELED":
    case "SYS_CANCELED":
      return `It was stopped${ran}.${why}`;
  }
}

function running(trial: Trial, now: number, why: string, which: string): string {
  const since = trial.startTime === undefined ? "" : `, started ${ago(trial.startTime, now)}`;
  return `It is running${which}${since}. ${said(trial, now)}${why}`;
}

function said(trial: Trial, now: number): string {
  const { intermediateCount: count, lastValue: last, finalValue: final, reportTime } = trial;
  const when = reportTime === undefined ? "" : `, ${ago(reportTime, now)}`;
  const reports = count === 0 ? "" : `It has reported ${plural(count, "intermediate result")}${last === undefined ? when : `; the last is ${metric(last)}${when}`}.`;
  if (final === undefined) return reports || "It has reported nothing yet.";
  const result = trial.attempt > 1 ? `Its result so far is ${metric(final)}.` : `Its final result is ${metric(final)}.`;
  return reports === "" ? result : `${reports} ${result}`;
}

function succeeded(trial: Trial, model: Model, ran: string): string {
  const { maximize } = model.experiment;
  const value = trial.finalValue ?? 0;
  let rank = 1;
  let of = 0;
  for (const other of model.trials) {
    if (other.finalValue === undefined || !hasResult(other)) continue;
    of += 1;
    if (maximize ? other.finalValue > value : other.finalValue < value) rank += 1;
  }
  const place = rank === 1 ? "the best" : `number ${rank} of ${of}`;
  return `It succeeded${ran} with ${metric(value)}, ${of === 1 ? "the only result so far" : `${place} so far`}.`;
}
