import { describe, expect, it } from "vitest";
import { chipOf, chipText, select, sorted, type Chip } from "./filter";
import { trialOf, type Row, type Status } from "./model";

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
  trial(3, { lr: 1, net: { _name: "cnn", k: 3 } }, { finalValue: 0.1 }),
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
  ])("%j %j %j", (statuses, search, chips, expected) => {
    const filter = { statuses: new Set(statuses as Status[]), search, chips: chips.map((text) => chipOf(text) as Chip) };
    expect(ids(select(TRIALS, filter, 100_000))).toBe(expected);
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
