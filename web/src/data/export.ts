// Trials as text: CSV, and commands for a shell.

import { shownValue, took, type Trial } from "./model";

/** CSV of trials, a column for each parameter and metric; times in ISO 8601, durations in seconds. */
export function csv(trials: readonly Trial[], parameters: readonly string[], metrics: readonly string[], now: number): string {
  const head = ["number", "trial", "status", "metric", ...metrics.map((name) => `metric.${name}`), "results"];
  const rows = [
    [...head, "duration_s", "started", "ended", "attempt", "reason", ...parameters],
    ...trials.map((trial) => {
      const time = took(trial, now);
      return [
        trial.sequenceId,
        trial.trialJobId,
        trial.status,
        shownValue(trial),
        ...metrics.map((name) => trial.metrics?.[name]),
        trial.intermediateCount,
        time === undefined ? undefined : time / 1000,
        moment(trial.startTime),
        moment(trial.endTime),
        trial.attempt,
        trial.reason?.sentence,
        ...parameters.map((name) => trial.parameters[name]),
      ];
    }),
  ];
  return rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
}

const moment = (time: number | undefined): string | undefined =>
  time === undefined ? undefined : new Date(time).toISOString();

function field(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // A spreadsheet would run what begins like a formula; what trials say is not to be trusted with that.
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A word that a POSIX shell takes as it is. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_\-./:=@%+,]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The command that adds a trial with these parameters to a running experiment. */
export function addCommand(url: string, experiment: string, parameters: string): string {
  return [
    `curl -sS -X POST ${shellWord(url)}`,
    `  -H "Authorization: Bearer $(nnictl webui url ${experiment} | sed -n 's/.*token=//p')"`,
    `  -H 'Content-Type: application/json'`,
    `  -d ${shellWord(parameters)}`,
  ].join(" \\\n");
}

/** Has the browser save text as a file. */
export function save(name: string, type: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
