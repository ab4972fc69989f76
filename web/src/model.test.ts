import { describe, expect, it } from "vitest";
import { apply, concerns, parametersOf, progress, shownTrials, type Change, type Model, type Status, type Trial } from "./model";

const NONE: Record<Status, number> = {
  WAITING: 0,
  RUNNING: 0,
  SUCCEEDED: 0,
  FAILED: 0,
  USER_CANCELED: 0,
  SYS_CANCELED: 0,
  EARLY_STOPPED: 0,
};

function trial(sequenceId: number, status: Status, more: Partial<Trial> = {}): Trial {
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

function change(trials: Trial[], more: Partial<Change> = {}, experiment: Partial<Change["experiment"]> = {}): Change {
  return {
    reset: false,
    more: false,
    revision: 1,
    now: 0,
    counts: NONE,
    best: null,
    trials,
    experiment: {
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
      trialNumber: trials.length,
      trialConcurrency: 1,
      maxTrialNumber: null,
      maxExperimentSeconds: null,
      ...experiment,
    },
    ...more,
  };
}

function modelOf(...changes: Change[]): Model {
  return changes.reduce<Model | null>((before, its) => apply(before, its, 0), null) as Model;
}

const ids = (trials: Trial[]): string[] => trials.map((its) => its.trialJobId);

describe("apply", () => {
  it("keeps trials by number, whatever order they come in", () => {
    const model = modelOf(change([trial(2, "RUNNING"), trial(0, "FAILED")]), change([trial(1, "WAITING")]));
    expect(ids(shownTrials(model, new Set(), "newest", 10))).toEqual(["t2", "t1", "t0"]);
  });
  it("forgets everything at a reset", () => {
    const model = modelOf(change([trial(0, "RUNNING"), trial(1, "RUNNING")]), change([trial(0, "FAILED")], { reset: true }));
    expect(ids(shownTrials(model, new Set(), "newest", 10))).toEqual(["t0"]);
  });
  it("finds the best trial, changed now or before", () => {
    const first = change([trial(0, "SUCCEEDED", { finalValue: 1 })], { best: "t0" });
    expect(modelOf(first, change([trial(1, "RUNNING")], { best: "t0" })).best?.finalValue).toBe(1);
    expect(modelOf(change([trial(0, "SUCCEEDED")]), change([], { best: "t0" })).best?.trialJobId).toBe("t0");
    expect(modelOf(change([], { best: "t7" })).best).toBeNull();
  });
});

describe("shownTrials", () => {
  const trials = [
    trial(0, "SUCCEEDED", { finalValue: 0.2, lastValue: 9 }),
    trial(1, "RUNNING", { lastValue: 0.9 }),
    trial(2, "WAITING"),
    trial(3, "SUCCEEDED", { finalValue: 0.5 }),
  ];
  it.each([
    [[], "newest", true, 10, ["t3", "t2", "t1", "t0"]],
    [[], "newest", true, 2, ["t3", "t2"]],
    [["SUCCEEDED"], "newest", true, 10, ["t3", "t0"]],
    [[], "best", true, 10, ["t1", "t3", "t0"]],
    [[], "best", false, 2, ["t0", "t3"]],
    [["WAITING"], "best", true, 10, []],
  ] as const)("%j, %s, maximize %s, %i", (statuses, order, maximize, most, expected) => {
    const model = modelOf(change(trials, {}, { maximize }));
    expect(ids(shownTrials(model, new Set<Status>(statuses), order, most))).toEqual(expected);
  });
});

describe("concerns", () => {
  const because = (sentence: string): Partial<Trial> => ({
    reason: { class: "user", sentence, evidence: "", since: 0 },
  });
  it("tells each sentence once, failures first", () => {
    const model = modelOf(
      change([
        trial(0, "FAILED", because("boom")),
        trial(1, "WAITING", because("full")),
        trial(2, "FAILED", because("boom")),
        trial(3, "SUCCEEDED", because("no final result")),
      ]),
    );
    expect(concerns(model).map(({ kind, sentence, count, trial: its }) => [kind, sentence, count, its.trialJobId])).toEqual([
      ["failed", "boom", 2, "t2"],
      ["waiting", "full", 1, "t1"],
    ]);
  });
});

describe("parametersOf", () => {
  it.each([
    ['{"parameters":{"lr":0.1,"name":"it\'s"}}', [["lr", 0.1], ["name", "it's"]]],
    ['{"parameters":{"lr":NaN,"b":-Infinity}}', [["lr", "NaN"], ["b", "-Infinity"]]],
    ['{"parameters":{"text":"[NaN,NaN]"}}', [["text", "[NaN,NaN]"]]],
    ['{"parameters":3}', []],
    ["{", []],
  ])("%s", (text, expected) => {
    expect(parametersOf(trial(0, "RUNNING", { hyperParameters: [text] }))).toEqual(expected);
  });
});

describe("progress", () => {
  const counts = { ...NONE, SUCCEEDED: 2, FAILED: 1, RUNNING: 1 };
  it("guesses from what has ended", () => {
    const model = modelOf(change([], { counts }, { maxTrialNumber: 12 }));
    expect(progress(model, 60_000)).toEqual({ ended: 3, of: 12, share: 0.25, elapsed: 60_000, left: 180_000 });
  });
  it("goes by time where that is nearer", () => {
    const model = modelOf(change([], { counts }, { maxTrialNumber: 12, maxExperimentSeconds: 100 }));
    expect(progress(model, 60_000)).toMatchObject({ share: 0.6, left: 40_000 });
  });
  it("knows nothing without bounds", () => {
    expect(progress(modelOf(change([], { counts })), 60_000)).toMatchObject({ of: null, share: null, left: null });
  });
  it("goes by the manager's clock, and stands when it is over", () => {
    expect(progress(modelOf(change([], { now: 5000 })), 1000).elapsed).toBe(6000);
    expect(progress(modelOf(change([], {}, { endTime: 2000, status: "DONE" })), 60_000)).toMatchObject({ elapsed: 2000, left: null });
  });
});
