import { describe, expect, it } from "vitest";
import { chipOf, chipText, problem, select, sorted, type Chip } from "./filter";
import { trialOf, type Row, type Status, type Trial } from "./model";

function trial(sequenceId: number, parameters: Record<string, unknown>, more: Partial<Row> = {}) {
  return trialOf({
    trialJobId: `t${sequenceId}`,
    sequenceId,
    status: "SUCCEEDED",
    hyperParameters: [JSON.stringify({ parameters })],
    submitTime: 0,
    attempt: 1,
    intermediateCount: 0,
    ...more,
  });
}

const TRIALS = [
  trial(0, { lr: 0.1, opt: "adam" }, { finalValue: 0.5, startTime: 0, endTime: 90_000 }),
  trial(1, { lr: 0.01, opt: "sgd" }, { status: "RUNNING", lastValue: 0.9, startTime: 0 }),
  trial(2, { opt: "Adam" }, { status: "FAILED", reason: { class: "user", sentence: "CUDA out of memory", since: 0 } }),
  trial(3, { lr: 1, net: { _name: "cnn", k: 3 } }, { finalValue: 0.1, metrics: { loss: 0.7 } }),
];
const ids = (found: readonly { trialJobId: string }[]): string => found.map((its) => its.trialJobId).join(" ");

describe("select", () => {
  it.each<[string[], string, string[], string]>([
    [[], "", [], "t0 t1 t2 t3"],
    [["FAILED", "RUNNING"], "", [], "t1 t2"],
    [[], "cuda", [], "t2"],
    [[], "ADAM", [], "t0 t2"],
    [[], "2", [], "t2"],
    [[], "lr=0.01", [], "t1"],
    [[], "", ["x:lr<0.1"], "t1"],
    [[], "", ["x:lr<=0.1", "metric>0.6"], "t1"],
    [[], "", ["x:opt=adam"], "t0 t2"],
    [[], "", ["x:lr!=1"], "t0 t1 t2"],
    [[], "", ["x:net=cnn"], "t3"],
    [[], "", ["duration>=90"], "t0 t1"],
    [[], "", ["duration>=90s"], "t0 t1"],
    [[], "", ["duration=1m 30s"], "t0"],
    [[], "", ["duration>1m30s"], "t1"],
    [[], "", ["duration<0.5h"], "t0 t1"],
    [[], "", ["x:opt>=b"], "t1"],
    // What cannot be read leaves the trials as they are.
    [[], "", ["metric>=0,9"], "t0 t1 t2 t3"],
    [[], "", ["duration<soon"], "t0 t1 t2 t3"],
    [[], "", ["x:lr<big"], ""],
    [[], "", ["bogus=3", "x:lrr=1", "y:los!=1", "constructor=3"], "t0 t1 t2 t3"],
    [[], "", ["bogus=3", "x:lr<0.1"], "t1"],
  ])("%j %j %j", (statuses, search, chips, expected) => {
    const filter = { statuses: new Set(statuses as Status[]), search, chips: chips.map((text) => chipOf(text) as Chip) };
    expect(ids(select(TRIALS, filter, 100_000))).toBe(expected);
  });
  it.each([
    ["submitted<2h ago", "old"],
    ["submitted>=90m ago", "young"],
    ["submitted=today", "young"],
    ["submitted=yesterday", "old"],
    ["submitted=2030-01-30", "old"],
    ["submitted<=2030-01-30", "old"],
    ["submitted>2030-01-30", "young"],
    ["submitted>=2030-01-31 11:30", "young"],
    ["submitted=2030-01-31T12:00:00", "young"],
  ])("moments: %s", (text, expected) => {
    const now = new Date(2030, 0, 31, 13, 0).getTime();
    const at = (id: string, submitTime: number) => ({ ...(TRIALS[0] as Trial), trialJobId: id, submitTime });
    const trials = [at("old", new Date(2030, 0, 30, 23, 0).getTime()), at("young", new Date(2030, 0, 31, 12, 0).getTime())];
    expect(ids(select(trials, { statuses: new Set(), search: "", chips: [chipOf(text) as Chip] }, now))).toBe(expected);
  });
  it.each([
    ["metric>=0,9", "Title is a number, written like 0.9 or 1e-3; “0,9” is none."],
    ["metric>=0x10", "Title is a number, written like 0.9 or 1e-3; “0x10” is none."],
    ["metric>=9e-1", null],
    ["y:loss<.5", null],
    ["duration>2 hours 5 min", null],
    ["duration>5m 2h", "Title is a duration, written like 90s, 5m or 1h 30m; “5m 2h” is none."],
    ["duration>-3", "Title is a duration, written like 90s, 5m or 1h 30m; “-3” is none."],
    ["started>2h", "Title is a moment, written like 2h ago, today, 2030-01-31 or 2030-01-31 14:30; “2h” is none."],
    ["started>2030-02-30", "Title is a moment, written like 2h ago, today, 2030-01-31 or 2030-01-31 14:30; “2030-02-30” is none."],
    ["started>2030-01-31T14:30+02:00", null],
    ["x:lr<small", "Title is a number, written like 0.9 or 1e-3; “small” is none."],
    ["x:opt=anything", null],
    ["id=t1", null],
    ["like=boom", null],
    ["bogus=3", "The table has no column “bogus”."],
    ["constructor=3", "The table has no column “constructor”."],
    ["x:lrr<0.1", "No trial has a parameter “lrr”."],
    ["y:los<1", "No trial has a metric “los”."],
  ])("says what is wrong with %s", (text, expected) => {
    expect(problem(chipOf(text) as Chip, "Title", TRIALS)).toBe(expected);
  });
  it("misses nothing before there is a trial", () => {
    expect(["x:lr<0.1", "y:loss<1"].map((text) => problem(chipOf(text) as Chip, "Title", []))).toEqual([null, null]);
  });
  it("reads what it writes", () => {
    expect(chipText(chipOf("x:a<=b") as Chip)).toBe("x:a<=b");
    expect(chipOf("nonsense")).toBeNull();
  });
});

describe("sorted", () => {
  it.each([
    ["number", true, "t3 t2 t1 t0"],
    ["metric", true, "t1 t0 t3 t2"],
    ["metric", false, "t3 t0 t1 t2"],
    ["x:lr", false, "t1 t0 t3 t2"],
    ["duration", true, "t1 t0 t3 t2"],
  ])("by %s, descending %s", (field, isDescending, expected) => {
    expect(ids(sorted(TRIALS, { field, isDescending }, 100_000))).toBe(expected);
  });
});
