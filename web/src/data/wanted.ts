// What a condition's value means: a number, a duration, a moment or text, by the column that it is about. Pure.

import { LIKE } from "./complaint";
import { PARAMETER, METRIC } from "./fields";

/** What is wanted: text, or numbers from `from` up to `to`, which is beyond. A value that is written coarsely is long. */
export type Wanted = string | { from: number; to: number };

export type Kind = "number" | "duration" | "time" | "text" | "value";

const KINDS: Readonly<Record<string, Kind>> = {
  id: "text",
  status: "text",
  reason: "text",
  [LIKE]: "text",
  number: "number",
  metric: "number",
  results: "number",
  attempt: "number",
  duration: "duration",
  silent: "duration",
  submitted: "time",
  started: "time",
  ended: "time",
};

/** What a column holds; a parameter may hold numbers and text. */
export function kindOf(field: string): Kind {
  if (field.startsWith(PARAMETER)) return "value";
  return field.startsWith(METRIC) ? "number" : ((isFixed(field) && KINDS[field]) || "text");
}

/** Whether there is such a column whatever the trials are. */
export function isFixed(field: string): boolean {
  return Object.hasOwn(KINDS, field);
}

/** How a value of a column is written, for the one who writes it. */
export const EXAMPLES: Record<Kind, string> = {
  number: "0.9 or 1e-3",
  duration: "90s, 5m or 1h 30m",
  time: "2h ago, today, 2030-01-31 or 2030-01-31 14:30",
  text: "",
  value: "",
};

/** Reads a value; null when it is none of its kind. `now` is what "ago" counts from. */
export function wanted(field: string, text: string, now: number): Wanted | null {
  switch (kindOf(field)) {
    case "number":
      return exactly(numberIn(text));
    case "duration":
      return durationIn(text);
    case "time":
      return momentIn(text, now);
    case "value":
      return exactly(numberIn(text)) ?? text;
    case "text":
      return text;
  }
}

const exactly = (value: number | null): Wanted | null => (value === null ? null : { from: value, to: value });

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

export function numberIn(text: string): number | null {
  const its = text.trim();
  return NUMBER.test(its) && Number.isFinite(Number(its)) ? Number(its) : null;
}

const UNITS: [names: RegExp, milliseconds: number][] = [
  [/^d(ays?)?$/i, 86_400_000],
  [/^h(ours?)?$/i, 3_600_000],
  [/^m(in(ute)?s?)?$/i, 60_000],
  [/^s(ec(ond)?s?)?$/i, 1000],
];
const PART = /(\d+(?:\.\d+)?)\s*([a-z]+)\s*/iy;

/** Milliseconds of `90s`, `1h 30m`, `2 days`, or of a number of seconds; null for anything else. */
function spelt(text: string): number | null {
  const its = text.trim();
  const seconds = numberIn(its);
  if (seconds !== null) return seconds >= 0 ? seconds * 1000 : null;
  let [sum, before] = [0, Infinity];
  for (let place = 0; place < its.length; place = PART.lastIndex) {
    PART.lastIndex = place;
    const [, count, unit = ""] = PART.exec(its) ?? [];
    const size = UNITS.find(([names]) => names.test(unit))?.[1];
    if (count === undefined || size === undefined || size >= before) return null;
    [sum, before] = [sum + Number(count) * size, size];
  }
  return its === "" ? null : sum;
}

/** Durations are shown in whole seconds: one of 90 s is any below 91 s. */
function durationIn(text: string): Wanted | null {
  const from = spelt(text);
  return from === null ? null : { from, to: from % 1000 === 0 ? from + 1000 : from };
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?\s*(Z|[-+]\d\d:?\d\d)?$/i;

function momentIn(text: string, now: number): Wanted | null {
  const its = text.trim().toLowerCase();
  if (its === "now") return { from: now, to: now };
  if (its === "today") return day(now, 0);
  if (its === "yesterday") return day(now, -1);
  if (its.endsWith("ago")) {
    const before = /[a-z]\s*ago$/.test(its) ? spelt(its.slice(0, -3)) : null;
    return before === null ? null : { from: now - before, to: now - before };
  }
  return date(its);
}

function day(now: number, more: number): Wanted {
  const its = new Date(now);
  const start = (place: number): number => new Date(its.getFullYear(), its.getMonth(), its.getDate() + place).getTime();
  return { from: start(more), to: start(more + 1) };
}

/** ISO 8601, in this browser's zone where none is given; a date alone is the whole day. */
function date(text: string): Wanted | null {
  const [, years, months, days, hours, minutes, seconds, zone] = DATE.exec(text) ?? [];
  if (years === undefined || (zone !== undefined && hours === undefined)) return null;
  const [year, month, dayOf] = [Number(years), Number(months) - 1, Number(days)];
  const [hour, minute, second] = [Number(hours ?? 0), Number(minutes ?? 0), Number(seconds ?? 0)];
  const utc = new Date(Date.UTC(year, month, dayOf, hour, minute, second));
  // A month 13, or a 30th of February, is another date than the one that was written.
  if (utc.getUTCMonth() !== month || utc.getUTCDate() !== dayOf || utc.getUTCHours() !== hour || minute > 59 || second > 59) return null;
  if (hours === undefined) return day(new Date(year, month, dayOf).getTime(), 0);
  const from = zone === undefined ? new Date(year, month, dayOf, hour, minute, second).getTime() : utc.getTime() - offset(zone);
  return { from, to: from + (seconds === undefined ? 60_000 : 1000) };
}

function offset(zone: string): number {
  const [, sign, hours, minutes] = /([-+])(\d\d):?(\d\d)/.exec(zone) ?? [];
  return hours === undefined ? 0 : (sign === "-" ? -1 : 1) * (Number(hours) * 3_600_000 + Number(minutes) * 60_000);
}
