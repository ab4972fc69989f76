import { describe, expect, it, vi } from "vitest";
import { apply, begin, hasResult, parametersOf, ranked, type Change, type Head, type Model, type Row, type Setting, type Status, type Summary } from "./model";
import { chipOf, select, type Chip } from "./filter";
import { alike, concerns, failures, progress, usage, waits, type Concern } from "./progress";
import { trialsOf, type Columns } from "./snapshot";

const NONE: Record<Status, number> = {
  WAITING: 0,
  RUNNING: 0,
  SUCCEEDED: 0,
  FAILED: 0,
  USER_CANCELED: 0,
  SYS_CANCELED: 0,
  EARLY_STOPPED: 0,
};
const SETTING: Setting = { roles: [], searchSpace: {}, operator: null, namespace: null, objectives: {} };

function row(sequenceId: number, status: Status, more: Partial<Row> = {}): Row {
  return {
    trialJobId: `t${sequenceId}`,
    sequenceId,
    status,
    hyperParameters: [],
    submitTime: 0,
    attempt: 1,
    intermediateCount: 0,
    ...more,
  };
}

function head(more: Partial<Head> = {}, experiment: Partial<Summary & Setting> = {}): Head {
  return {
    revision: 1,
    now: 0,
    counts: NONE,
    best: null,
    health: [],
    experiment: {
      ...SETTING,
      id: "e",
      name: null,
      status: "RUNNING",
      isOver: false,
      errors: [],
      startTime: 0,
      endTime: null,
      platform: "local",
      version: "0",
      tuner: "TPE",
      maximize: true,
      trialNumber: 0,
      trialConcurrency: 1,
      maxTrialNumber: null,
      maxExperimentSeconds: null,
      ...experiment,
    },
    ...more,
  };
}

function modelOf(rows: Row[], more: Partial<Head> = {}, experiment: Partial<Summary & Setting> = {}): Model {
  const its = head(more, experiment);
  return apply(begin({ ...its, best: null }, [], 0), change(rows, its), 0);
}

const change = (trials: Row[], its: Head): Change => ({ ...its, reset: false, more: false, trials });
const ids = (model: Model): string[] => model.trials.map((its) => its.trialJobId);

describe("apply", () => {
  it("keeps trials by number, whatever order they come in", () => {
    const model = apply(modelOf([row(2, "RUNNING"), row(0, "FAILED")]), change([row(1, "WAITING")], head()), 0);
    expect(ids(model)).toEqual(["t0", "t1", "t2"]);
  });
  it("finds the best trial, changed now or before", () => {
    const first = modelOf([row(0, "SUCCEEDED", { finalValue: 1 })], { best: "t0" });
    expect(first.best?.finalValue).toBe(1);
    expect(apply(first, change([row(1, "RUNNING")], head({ best: "t0" })), 0).best?.finalValue).toBe(1);
    expect(apply(first, change([row(0, "SUCCEEDED", { finalValue: 2 })], head({ best: "t0" })), 0).best?.finalValue).toBe(2);
    expect(modelOf([], { best: "t7" }).best).toBeNull();
  });
  it("keeps what the stream tells only once", () => {
    const model = modelOf([], {}, { namespace: "ml" });
    const { namespace: _, ...rest } = head().experiment;
    expect(apply(model, change([], head({ experiment: rest })), 0).experiment.namespace).toBe("ml");
  });
  it("knows the names of parameters and metrics in the order of first sight", () => {
    const parameters = (text: string): Partial<Row> => ({ hyperParameters: [`{"parameters":${text}}`] });
    const model = modelOf([row(0, "RUNNING", parameters('{"b":1,"a":2}')), row(1, "SUCCEEDED", { metrics: { loss: 1 } }), row(2, "RUNNING", parameters('{"c":1}'))]);
    expect([model.parameterNames, model.metricNames]).toEqual([["b", "a", "c"], ["loss"]]);
  });
});

describe("a table of all trials", () => {
  const columns: Columns = {
    statuses: ["WAITING", "RUNNING", "FAILED"],
    origin: 1050,
    tick: 100,
    id: ["aaaaa", "bbbbb"],
    status: [1, 2],
    submitTime: [0, 5],
    startTime: [3, null],
    endTime: [null, 9],
    cause: [[1, "infrastructure"]],
    past: [[1, [["first", 1, 4]]]],
    attempt: [[1, 2]],
    reportTime: [[0, 7]],
    intermediateCount: [4, 0],
    finalValue: [null, null],
    lastValue: [[0, 0.5]],
    metrics: [{ name: "loss", values: [[0, 2]] }],
    exitCode: [[1, 137]],
    reasons: [{ class: "user", sentence: "boom" }],
    reason: [[1, 0, 1234]],
    parameters: [
      { name: "lr", values: [0.1, 0.2] },
      { name: "own", values: [null, "x"] },
    ],
  };
  it("becomes trials", () => {
    const [first, second] = trialsOf(columns);
    expect(first).toMatchObject({ trialJobId: "aaaaa", status: "RUNNING", startTime: 1300, endTime: undefined, attempt: 1, lastValue: 0.5, reportTime: 1700 });
    expect(first?.metrics).toEqual({ loss: 2 });
    expect(first?.parameters).toEqual({ lr: 0.1 });
    expect(second).toMatchObject({ sequenceId: 1, status: "FAILED", submitTime: 1500, endTime: 2400, attempt: 2, exitCode: 137 });
    expect(second).toMatchObject({ cause: "infrastructure", past: [{ cause: "first", startTime: 1600, endTime: 1900 }] });
    expect([first?.cause, first?.past]).toEqual([undefined, []]);
    expect(second?.reason).toEqual({ class: "user", sentence: "boom", since: 1234 });
  });
});

describe("ranked", () => {
  const rows = [
    row(0, "SUCCEEDED", { finalValue: 0.2 }),
    row(1, "RUNNING", { lastValue: 9 }),
    row(2, "SUCCEEDED", { finalValue: 0.5 }),
    row(3, "FAILED", { finalValue: 0.9 }),
    row(4, "USER_CANCELED", { finalValue: 0.1 }),
    row(5, "EARLY_STOPPED", { finalValue: 0.1, lastValue: 0.9 }),
  ];
  it.each([
    [true, ["t2", "t0"]],
    [false, ["t0", "t2"]],
  ])("maximize %s", (maximize, expected) => {
    expect(ranked(modelOf(rows, {}, { maximize })).map((its) => its.trialJobId)).toEqual(expected);
  });
});

describe("concerns", () => {
  const because = (sentence: string): Partial<Row> => ({ reason: { class: "user", sentence, evidence: "", since: 0 } });
  it.each([
    ["No node has 1 GPU free.", "No node has 4 GPU free."],
    ["Pod nni-exp-abc-trial-t1-master-0 of t1 was evicted from gpu-node-17.", "Pod nni-exp-abc-trial-t2-master-0 of t2 was evicted from gpu-node-2."],
    ["The command of worker-0 ended with exit code 1: loss 3e-5 at 10.0.0.7:2222", "The command of worker-1 ended with exit code 1: loss 0.25 at 10.0.0.8:2222"],
  ])("is one of like sentences: %s", (one, other) => {
    const model = modelOf([row(0, "SUCCEEDED"), row(1, "FAILED", because(one)), row(2, "FAILED", because(other))]);
    const [found] = concerns(model, 0);
    expect(concerns(model, 0).map(({ sentence, count }) => [sentence, count])).toEqual([[other, 2]]);
    const query = new URLSearchParams(alike(found as Concern).slice("detail?".length));
    const chips = query.getAll("where").map((text) => chipOf(text) as Chip);
    const filter = { statuses: new Set(query.getAll("status") as Status[]), search: "", chips };
    expect(select(model.trials, filter, 0).map((its) => its.trialJobId)).toEqual(["t1", "t2"]);
  });
  it("tells exit codes apart", () => {
    const model = modelOf([1, 137].map((code, place) => row(place, "FAILED", because(`The command of worker-0 ended with exit code ${code}`))));
    expect(concerns(model, 0).length).toBe(2);
  });
  it("tells each sentence once, failures first", () => {
    const model = modelOf([
      row(0, "FAILED", because("boom")),
      row(1, "WAITING", because("full")),
      row(2, "FAILED", because("boom")),
      row(3, "SUCCEEDED", because("no final result")),
    ]);
    expect(concerns(model, 0).map(({ kind, sentence, count, trial: its }) => [kind, sentence, count, its.trialJobId])).toEqual([
      ["failed", "boom", 2, "t2"],
      ["waiting", "full", 1, "t1"],
    ]);
    expect(failures(model)).toEqual([["user", 2]]);
  });
  it("masks each sentence once, and none that it does not tell of", () => {
    const model = modelOf([...Array(50).keys()].map((place) => row(place, place > 47 ? "WAITING" : "FAILED", because(`boom of t${place}`))));
    const masking = vi.spyOn(String.prototype, "replaceAll");
    expect(waits(model).map(({ kind, count }) => [kind, count])).toEqual([["waiting", 2]]);
    expect(masking).toHaveBeenCalledTimes(2);
    for (let look = 0; look < 3; look++) expect(concerns(model, look).map(({ count }) => count)).toEqual([48, 2]);
    expect(masking).toHaveBeenCalledTimes(50);
    masking.mockRestore();
  });
  it("names trials that run for longer than others took and say nothing", () => {
    const done = [0, 1, 2, 3].map((number) => row(number, "SUCCEEDED", { startTime: 0, endTime: 120_000 }));
    const model = modelOf([...done, row(4, "RUNNING", { startTime: 0 }), row(5, "RUNNING", { startTime: 0, intermediateCount: 1 })]);
    expect(concerns(model, 121_000).map(({ kind, trial: its }) => [kind, its.trialJobId])).toEqual([["silent", "t4"]]);
    expect(concerns(model, 119_000)).toEqual([]);
  });
  const MINUTE = 60_000;
  it.each<[string, Partial<Row>, number, string | null]>([
    ["reports each minute", { intermediateCount: 10, reportTime: 10 * MINUTE }, 15, null],
    ["reported each minute", { intermediateCount: 10, reportTime: 10 * MINUTE }, 16, "It has fallen silent, though it runs; a report came about every 1 min before."],
    ["reports every ten minutes", { intermediateCount: 3, reportTime: 30 * MINUTE }, 75, null],
    ["reported every ten minutes", { intermediateCount: 3, reportTime: 30 * MINUTE }, 81, "It has fallen silent, though it runs; a report came about every 10 min before."],
    ["has one report, after a while", { intermediateCount: 1, reportTime: 2 * MINUTE }, 12, null],
    ["had one report", { intermediateCount: 1, reportTime: 2 * MINUTE }, 13, "It has fallen silent, though it runs."],
    ["gave its final result and hangs", { reportTime: 2 * MINUTE, finalValue: 1 }, 13, "It has fallen silent, though it runs."],
  ])("names one that %s", (_, more, minutes, expected) => {
    const model = modelOf([row(0, "RUNNING", { startTime: 0, ...more })]);
    const found = concerns(model, minutes * MINUTE);
    expect(found.map(({ sentence, since }) => [sentence, since])).toEqual(expected === null ? [] : [[expected, more.reportTime]]);
    for (const one of found) expect(alike(one)).toBe("detail?status=RUNNING&sort=-silent&columns=number%2Cid%2Cstatus%2Csilent%2Cresults%2Cmetric%2Cduration%2Cstarted");
  });
  it("goes by what others do while a trial has said little", () => {
    const done = [0, 1, 2, 3].map((number) => row(number, "SUCCEEDED", { startTime: 0, endTime: 40 * MINUTE, intermediateCount: 4 }));
    const model = modelOf([...done, row(4, "RUNNING", { startTime: 0, intermediateCount: 1, reportTime: MINUTE })]);
    expect(concerns(model, 50 * MINUTE)).toEqual([]);
    expect(concerns(model, 52 * MINUTE).length).toBe(1);
  });
});

describe("parametersOf", () => {
  it.each([
    ['{"parameters":{"lr":0.1,"name":"it\'s"}}', { lr: 0.1, name: "it's" }],
    ['{"parameters":{"lr":NaN,"b":-Infinity}}', { lr: "NaN", b: "-Infinity" }],
    ['{"parameters":{"text":"[NaN,NaN]"}}', { text: "[NaN,NaN]" }],
    ['{"parameters":3}', {}],
    ["{", {}],
  ])("%s", (text, expected) => expect(parametersOf({ hyperParameters: [text] })).toEqual(expected));
});

describe("usage", () => {
  it("counts what all pods of all trials were given", () => {
    const role = { name: "worker", replicas: 2, command: "", image: "", cpus: 4, gpus: 1 };
    const rows = [row(0, "SUCCEEDED", { startTime: 0, endTime: 3_600_000 }), row(1, "RUNNING", { startTime: 0 }), row(2, "WAITING")];
    expect(usage(modelOf(rows, {}, { roles: [role] }), 1_800_000)).toEqual({ ran: 5_400_000, coreHours: 12, gpuHours: 3 });
    expect(usage(modelOf(rows), 0)).toMatchObject({ coreHours: null, gpuHours: null });
  });
});

describe("progress", () => {
  const counts = { ...NONE, SUCCEEDED: 2, FAILED: 1, RUNNING: 1 };
  it("guesses from what has ended", () => {
    const model = modelOf([], { counts }, { maxTrialNumber: 12 });
    expect(progress(model, 60_000)).toEqual({ ended: 3, of: 12, share: 0.25, elapsed: 60_000, left: 180_000, isAtMost: false });
  });
  it("goes by time where that is nearer", () => {
    const model = modelOf([], { counts }, { maxTrialNumber: 12, maxExperimentSeconds: 100 });
    expect(progress(model, 60_000)).toMatchObject({ share: 0.6, left: 40_000 });
  });
  it("guesses nothing while it is paused", () => {
    expect(progress(modelOf([], { counts }, { maxTrialNumber: 12, trialConcurrency: 0 }), 60_000).left).toBeNull();
  });
  it("knows nothing without bounds", () => {
    expect(progress(modelOf([], { counts }), 60_000)).toMatchObject({ of: null, share: null, left: null });
  });
  it("goes by the manager's clock, and stands when it is over", () => {
    expect(progress(modelOf([], { now: 5000 }), 1000).elapsed).toBe(6000);
    expect(progress(modelOf([], {}, { endTime: 2000, status: "DONE" }), 60_000)).toMatchObject({ elapsed: 2000, left: null });
  });
});

describe("a trial that was promoted", () => {
  const hyperParameters = [1, 3].map((budget) => JSON.stringify({ parameters: { x: 0.5, budget } }));
  const model = modelOf([
    row(0, "RUNNING", { hyperParameters, attempt: 2, cause: "promotion", finalValue: 0.9 }),
    row(1, "RUNNING", { finalValue: 0.8 }),
    row(2, "FAILED", { attempt: 2, cause: "failure", finalValue: 0.7 }),
    row(3, "SUCCEEDED", { finalValue: 0.6 }),
    row(4, "WAITING", { attempt: 2, cause: "infrastructure" }),
    row(5, "RUNNING", { attempt: 2, cause: "infrastructure", finalValue: 0.5 }),
    row(6, "FAILED", { attempt: 3, cause: "infrastructure", past: (["first", "promotion"] as const).map((cause) => ({ cause, endTime: 1 })), finalValue: 0.4 }),
    row(7, "USER_CANCELED", { attempt: 2, cause: "promotion", finalValue: 0.3 }),
  ]);
  it("shows what it tries now", () => {
    expect(model.trials[0]?.parameters).toEqual({ x: 0.5, budget: 3 });
  });
  it("keeps its result while it goes on, and whatever becomes of it", () => {
    expect(model.trials.map(hasResult)).toEqual([true, false, false, true, false, false, true, true]);
  });
});
