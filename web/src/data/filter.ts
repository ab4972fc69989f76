// Which trials a table shows, and in which order. Everything here can stand in the page's address.

import { LIKE, likeness } from "./complaint";
import { METRIC, PARAMETER } from "./fields";
import { shownValue, took, type Status, type Trial } from "./model";
import { point } from "./values";
import { EXAMPLES, isFixed, kindOf, numberIn, wanted, type Kind, type Wanted } from "./wanted";

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
    case "silent":
      return trial.status === "RUNNING" ? now - (trial.reportTime ?? trial.startTime ?? now) : undefined;
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
    case LIKE:
      return likeness(trial) ?? undefined;
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
  const tests = filter.chips.map((chip) => testOf(chip, trials, now));
  return trials.filter(
    (trial) =>
      (filter.statuses.size === 0 || filter.statuses.has(trial.status)) &&
      tests.every((test) => test(trial)) &&
      (search === "" || matches(trial, search)),
  );
}

const NOUNS: Record<Kind, string> = {
  number: "a number",
  duration: "a duration",
  time: "a moment",
  text: "text",
  value: "a number",
};

/** Says what is wrong with a condition on a column of this title; null when nothing is. */
export function problem({ field, operator, value }: Chip, title: string, trials: readonly Trial[]): string | null {
  const missing = missingIn(trials, field);
  if (missing !== null) return missing;
  if (wanted(field, value, 0) === null) {
    const kind = kindOf(field);
    return `${title} is ${NOUNS[kind]}, written like ${EXAMPLES[kind]}; “${value}” is none.`;
  }
  if (kindOf(field) !== "value" || numberIn(value) !== null) return null;
  const isNumber = trials.some((trial) => typeof cell(trial, field, 0) === "number");
  const isText = trials.some((trial) => typeof cell(trial, field, 0) === "string");
  if (isNumber && (!isText || !IS_EQUALITY[operator])) return `${title} is a number, written like ${EXAMPLES.number}; “${value}” is none.`;
  return null;
}

const IS_EQUALITY: Partial<Record<Operator, true>> = { "=": true, "!=": true };

/** Says that no trial has what a condition is about; null where one has, and while there is no trial at all. */
function missingIn(trials: readonly Trial[], field: string): string | null {
  const kinds = [
    { start: PARAMETER, noun: "parameter", of: (trial: Trial) => trial.parameters },
    { start: METRIC, noun: "metric", of: (trial: Trial) => trial.metrics ?? {} },
  ];
  const kind = kinds.find(({ start }) => field.startsWith(start));
  if (!kind) return isFixed(field) ? null : `The table has no column “${field}”.`;
  const name = field.slice(kind.start.length);
  const isThere = trials.length === 0 || trials.some((trial) => Object.hasOwn(kind.of(trial), name));
  return isThere ? null : `No trial has a ${kind.noun} “${name}”.`;
}

/** A condition that cannot be read leaves the trials as they are: `problem` says so. */
function testOf(chip: Chip, trials: readonly Trial[], now: number): (trial: Trial) => boolean {
  const its = missingIn(trials, chip.field) === null ? wanted(chip.field, chip.value, now) : null;
  if (its === null) return () => true;
  return (trial) => {
    const found = cell(trial, chip.field, now);
    return found === undefined ? chip.operator === "!=" : compare(found, its, chip);
  };
}

function compare(found: number | string, its: Wanted, { operator, value }: Chip): boolean {
  if (typeof found === "number") return typeof its === "string" ? operator === "!=" : within(found, its, operator);
  const [a, b] = [found.toLowerCase(), value.toLowerCase()];
  return within(a, { from: b, to: b }, operator);
}

function within<T extends number | string>(found: T, { from, to }: { from: T; to: T }, operator: Operator): boolean {
  const isIn = found >= from && (found < to || found === from);
  switch (operator) {
    case "=":
      return isIn;
    case "!=":
      return !isIn;
    case "<":
      return found < from;
    case "<=":
      return found < from || isIn;
    case ">":
      return found > from && !isIn;
    case ">=":
      return found >= from;
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
