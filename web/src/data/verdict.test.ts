import { describe, expect, it } from "vitest";
import { parameterScale, scaleOf } from "../charts/axes";
import { front } from "../charts/pareto";
import { begin, trialOf, type Model, type Row, type Status, type Trial } from "./model";
import { verdict } from "./verdict";

const MINUTE = 60_000;

function trial(status: Status, more: Partial<Row> = {}, parameters: Record<string, unknown> = {}): Trial {
  return trialOf({
    trialJobId: "aaaaa",
    sequenceId: 0,
    status,
    hyperParameters: [JSON.stringify({ parameters })],
    submitTime: 0,
    attempt: 1,
    intermediateCount: 0,
    ...more,
  });
}

function modelOf(trials: Trial[]): Model {
  const counts = { WAITING: 0, RUNNING: 0, SUCCEEDED: 0, FAILED: 0, USER_CANCELED: 0, SYS_CANCELED: 0, EARLY_STOPPED: 0 };
  const experiment = {
    id: "e",
    name: null,
    status: "RUNNING",
    isOver: false,
    errors: [],
    startTime: 0,
    endTime: null,
    platform: "local",
    version: "0",
    tuner: null,
    maximize: true,
    trialNumber: 0,
    trialConcurrency: 1,
    maxTrialNumber: null,
    maxExperimentSeconds: null,
  };
  return begin({ revision: 1, now: 0, counts, best: null, health: [], experiment }, trials, 0);
}

describe("verdict", () => {
  const reason = { class: "capacity" as const, sentence: "No node has 1 GPU free.", since: 0 };
  const ran = { startTime: MINUTE, endTime: 3 * MINUTE };
  it.each<[Trial, string]>([
    [trial("WAITING"), "It has been waiting for 5 min. Its job has just been sent."],
    [trial("WAITING", { reason }), "It has been waiting for 5 min. No node has 1 GPU free."],
    [trial("RUNNING", { startTime: 3 * MINUTE }), "It is running, started 2 min ago. It has reported nothing yet."],
    [
      trial("RUNNING", { startTime: 0, intermediateCount: 2, lastValue: 0.5 }),
      "It is running, started 5 min ago. It has reported 2 intermediate results; the last is 0.5.",
    ],
    [
      trial("RUNNING", { startTime: 0, intermediateCount: 2, lastValue: 0.5, finalValue: 0.6 }),
      "It is running, started 5 min ago. It has reported 2 intermediate results; the last is 0.5. Its final result is 0.6.",
    ],
    [
      trial("RUNNING", { startTime: 0, intermediateCount: 2, lastValue: 0.5, reportTime: 2 * MINUTE }),
      "It is running, started 5 min ago. It has reported 2 intermediate results; the last is 0.5, 3 min ago.",
    ],
    [trial("RUNNING", { startTime: 0, finalValue: 0.6 }), "It is running, started 5 min ago. Its final result is 0.6."],
    [
      trial("RUNNING", { startTime: 0, attempt: 2, finalValue: 0.6 }),
      "It is running in attempt 2, started 5 min ago. Its result so far is 0.6.",
    ],
    [trial("SUCCEEDED", { ...ran, finalValue: 0.5 }), "It succeeded after 2 min with 0.5, number 2 of 3 so far."],
    [trial("SUCCEEDED", { ...ran, finalValue: 2 }), "It succeeded after 2 min with 2, the best so far."],
    [trial("FAILED", { ...ran, reason: { ...reason, sentence: "Boom." } }), "It failed after 2 min. Boom."],
    [trial("USER_CANCELED"), "It was stopped."],
  ])("%#", (its, expected) => {
    const others = [0.1, 0.9].map((finalValue) => trial("SUCCEEDED", { finalValue }));
    expect(verdict(its, modelOf([...others, its]), 5 * MINUTE)).toBe(expected);
  });
});

describe("axes", () => {
  const of = (values: unknown[]): Trial[] => values.map((x) => trial("SUCCEEDED", {}, { x }));
  const places = (values: unknown[], type = "uniform"): (number | null)[] => {
    const trials = of(values);
    const scale = parameterScale("x", trials, { x: { _type: type, _value: [] } });
    return trials.map((its) => scale.at(its));
  };
  it.each<[unknown[], string, (number | null)[]]>([
    [[0, 5, 10], "uniform", [0, 0.5, 1]],
    [[1, 10, 100], "loguniform", [0, 0.5, 1]],
    [[16, 128, 32], "choice", [1 / 6, 5 / 6, 0.5]],
    [["b", "a", undefined], "choice", [0.75, 0.25, null]],
    [[3, 3], "uniform", [0.5, 0.5]],
    [[{ _name: "cnn" }, { _name: "mlp" }], "choice", [0.25, 0.75]],
  ])("%j as %s", (values, type, expected) => expect(places(values, type)).toEqual(expected));

  it.each([
    [[1, 4], ["1", "2", "3", "4"]],
    [[0.5, 1], ["0.5", "0.625", "0.75", "0.875", "1"]],
  ])("ticks of %j", (values, expected) => {
    const trials = of(values);
    const scale = scaleOf("x", trials, (its) => its.parameters.x as number);
    expect(scale.ticks.map((tick) => tick.text)).toEqual(expected);
  });
});

describe("a Pareto front", () => {
  it("keeps what nothing beats in both", () => {
    const points: [number, number][] = [[1, 5], [2, 4], [2, 6], [3, 9], [0, 0]];
    const trials = points.map(([finalValue, loss]) => trial("SUCCEEDED", { finalValue, metrics: { loss } }));
    const kept = front(trials, (its) => its.finalValue, (its) => its.metrics?.loss, false, true);
    expect(trials.filter((its) => kept.has(its)).map((its) => its.finalValue)).toEqual([2, 3, 0]);
  });
});
