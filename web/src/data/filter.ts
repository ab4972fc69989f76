// Which trials a table shows, and in which order. Everything here can stand in the page's address.

import { shownValue, took, type Status, type Trial } from "./model";
import { point } from "./values";

export type Operator = "=" | "!=" | "<" | "<=" | ">" | ">=";
export const OPERATORS: readonly Operator[] = ["=", "!=", "<", "<=", ">", ">="];

/** One condition: `lr<0.01`. Fields are columns of the table: `metric`, `duration`, `x:lr` for a parameter. */
export interface Chip {
  field: string;
  operator: Operator;
  value: string;
}

const CHIP = /^(.+?)(!=|<=|>=|=|<|>)(.*)$/s;

export function chipOf(text: string): Chip | null {
  const [, field, operator, value] = CHIP.exec(text) ?? [];
  return field && operator && value !== undefined ? { field, operator: operator as Operator, value } : null;
}

export const chipText = (chip: Chip): string => `${chip.field}${chip.operator}${chip.value}`;

export const PARAMETER = "x:";
export const METRIC = "y:";

/** What a column holds for a trial: what it is sorted and filtered by. */
export function cell(trial: Trial, field: string, now: number): number | string | undefined {
  if (field.startsWith(PARAMETER)) return point(trial.parameters[field.slice(PARAMETER.length)]);
  if (field.startsWith(METRIC)) return trial.metrics?.[field.slice(METRIC.length)];
  switch (field) {
    case "number":
      return trial.sequenceId;
    case "id":
      return trial.trialJobId;
    case "status":
      return trial.status;
    case "metric":
      return shownValue(trial);
    case "results":
      return trial.intermediateCount;
    case "duration":
      return took(trial, now);
    case "submitted":
      return trial.submitTime;
    case "started":
      return trial.startTime;
    case "ended":
      return trial.endTime;
    case "attempt":
      return trial.attempt;
    case "reason":
      return trial.reason?.sentence;
    default:
      return undefined;
  }
}

export interface Filter {
  statuses: ReadonlySet<Status>;
  search: string;
  chips: readonly Chip[];
}

export function select(trials: readonly Trial[], filter: Filter, now: number): Trial[] {
  const search = filter.search.trim().toLowerCase();
  const tests = filter.chips.map((chip) => testOf(chip, now));
  return trials.filter(
    (trial) =>
      (filter.statuses.size === 0 || filter.statuses.has(trial.status)) &&
      tests.every((test) => test(trial)) &&
      (search === "" || matches(trial, search)),
  );
}

/** Durations are written in seconds, everything else as the table has it. */
function testOf(chip: Chip, now: number): (trial: Trial) => boolean {
  const wanted = Number(chip.value);
  const isNumber = chip.value.trim() !== "" && Number.isFinite(wanted);
  const scale = chip.field === "duration" ? 1000 : 1;
  return (trial) => {
    const its = cell(trial, chip.field, now);
    if (its === undefined) return chip.operator === "!=";
    if (isNumber && typeof its === "number") return compare(its, wanted * scale, chip.operator);
    return compare(String(its).toLowerCase(), chip.value.toLowerCase(), chip.operator);
  };
}

function compare<T extends number | string>(a: T, b: T, operator: Operator): boolean {
  switch (operator) {
    case "=":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
  }
}

function matches(trial: Trial, search: string): boolean {
  if (trial.trialJobId.includes(search) || String(trial.sequenceId) === search) return true;
  if (trial.reason?.sentence.toLowerCase().includes(search)) return true;
  for (const name in trial.parameters) {
    const value = trial.parameters[name];
    const text = typeof value === "string" ? value : JSON.stringify(value);
    if (text.toLowerCase().includes(search) || `${name}=${text}`.toLowerCase().includes(search)) return true;
  }
  return false;
}

export interface Sort {
  field: string;
  isDescending: boolean;
}

/** Returns the trials in order; those without a value come last either way. */
export function sorted(trials: readonly Trial[], sort: Sort, now: number): Trial[] {
  const sign = sort.isDescending ? -1 : 1;
  const keyed = trials.map((trial) => ({ trial, key: cell(trial, sort.field, now) }));
  keyed.sort((a, b) => {
    if (a.key === b.key) return b.trial.sequenceId - a.trial.sequenceId;
    if (a.key === undefined) return 1;
    if (b.key === undefined) return -1;
    if (typeof a.key === "number" && typeof b.key === "number") return sign * (a.key - b.key);
    if (typeof a.key !== typeof b.key) return typeof a.key === "number" ? -1 : 1;
    return sign * (a.key < b.key ? -1 : 1);
  });
  return keyed.map(({ trial }) => trial);
}
