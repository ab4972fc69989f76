// Trials as text: CSV, and commands for a shell.

import { METRIC, PARAMETER } from "./fields";
import { cell } from "./filter";
import type { Trial } from "./model";

/** CSV of trials with the given columns of their table; times in ISO 8601, durations in seconds. */
export function csv(trials: readonly Trial[], fields: readonly string[], now: number): string {
  const rows = [fields.map(heading), ...trials.map((trial) => fields.map((its) => value(trial, its, now)))];
  return rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
}

const HEADINGS: Record<string, string> = { id: "trial", duration: "duration_s", silent: "silent_s" };

function heading(its: string): string {
  if (its.startsWith(METRIC)) return `metric.${its.slice(METRIC.length)}`;
  return its.startsWith(PARAMETER) ? its.slice(PARAMETER.length) : (HEADINGS[its] ?? its);
}

function value(trial: Trial, its: string, now: number): unknown {
  if (its.startsWith(PARAMETER)) return trial.parameters[its.slice(PARAMETER.length)];
  const found = cell(trial, its, now);
  if (typeof found !== "number") return found;
  if (its === "duration" || its === "silent") return found / 1000;
  return TIMES.has(its) ? moment(found) : found;
}

const TIMES: ReadonlySet<string> = new Set(["submitted", "started", "ended"]);

const moment = (time: number): string => new Date(time).toISOString();

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
