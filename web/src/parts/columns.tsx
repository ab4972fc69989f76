// The columns of the table of trials.

import type { ComponentChildren } from "preact";
import { duration, metric, parameter } from "../data/format";
import { METRIC, PARAMETER } from "../data/fields";
import { cell } from "../data/filter";
import { shownValue, took, type Trial } from "../data/model";
import { Status, When } from "./small";

export interface Column {
  field: string;
  title: string;
  /** Pixels. */
  width: number;
  isNumber: boolean;
  show: (trial: Trial, now: number) => ComponentChildren;
  /** Whether what is shown changes as time passes. */
  isTimely?: boolean;
}

const FIXED: readonly Column[] = [
  { field: "number", title: "No.", width: 66, isNumber: true, show: (trial) => trial.sequenceId },
  {
    field: "id",
    title: "Trial",
    width: 84,
    isNumber: false,
    show: (trial) => (
      <a href={`trial/${trial.trialJobId}`}>
        <code>{trial.trialJobId}</code>
      </a>
    ),
  },
  {
    field: "status",
    title: "Status",
    width: 158,
    isNumber: false,
    show: (trial) => (
      <span title={trial.reason?.sentence ?? ""}>
        <Status status={trial.status} />
      </span>
    ),
  },
  {
    field: "metric",
    title: "Metric",
    width: 108,
    isNumber: true,
    show: (trial) => (
      <span
        class={trial.finalValue === undefined ? "so-far" : ""}
        title={trial.finalValue === undefined ? "last intermediate result" : "final result"}
      >
        {metric(shownValue(trial))}
      </span>
    ),
  },
  { field: "results", title: "Reports", width: 86, isNumber: true, show: (trial) => trial.intermediateCount },
  {
    field: "duration",
    title: "Duration",
    width: 122,
    isNumber: true,
    isTimely: true,
    show: (trial, now) => {
      const time = took(trial, now);
      return time === undefined ? "–" : duration(time);
    },
  },
  {
    field: "silent",
    title: "Silent for",
    width: 118,
    isNumber: true,
    isTimely: true,
    show: (trial, now) => {
      const time = cell(trial, "silent", now);
      return typeof time === "number" ? <span title="since its last metric, or its start">{duration(time)}</span> : "–";
    },
  },
  { field: "started", title: "Started", width: 118, isNumber: false, isTimely: true, show: (trial, now) => <When time={trial.startTime} now={now} /> },
  { field: "submitted", title: "Submitted", width: 118, isNumber: false, isTimely: true, show: (trial, now) => <When time={trial.submitTime} now={now} /> },
  { field: "ended", title: "Ended", width: 118, isNumber: false, isTimely: true, show: (trial, now) => <When time={trial.endTime} now={now} /> },
  { field: "attempt", title: "Attempt", width: 88, isNumber: true, show: (trial) => trial.attempt },
  {
    field: "reason",
    title: "Reason",
    width: 320,
    isNumber: false,
    show: (trial) => <span title={trial.reason?.sentence}>{trial.reason?.sentence ?? ""}</span>,
  },
];

const DEFAULT = ["number", "id", "status", "metric", "results", "duration", "started"];

/** All columns that a table may have, by field. */
export function allColumns(parameters: readonly string[], metrics: readonly string[]): Map<string, Column> {
  const columns = [
    ...FIXED,
    ...metrics.map((name) => valueColumn(METRIC + name, name)),
    ...parameters.map((name) => valueColumn(PARAMETER + name, name)),
  ];
  return new Map(columns.map((column) => [column.field, column]));
}

function valueColumn(field: string, name: string): Column {
  return {
    field,
    title: name,
    width: Math.min(190, Math.max(118, 40 + name.length * 8)),
    isNumber: true,
    show: (trial) => {
      const whole = field.startsWith(PARAMETER) ? trial.parameters[name] : cell(trial, field, 0);
      return whole === undefined ? "–" : <span title={parameter(whole)}>{parameter(whole)}</span>;
    },
  };
}

/** The columns that are shown unless others are chosen. */
export function defaultFields(parameters: readonly string[], metrics: readonly string[]): string[] {
  return [...DEFAULT, ...metrics.map((name) => METRIC + name), ...parameters.map((name) => PARAMETER + name)];
}
