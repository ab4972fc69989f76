import { describe, expect, it } from "vitest";
import { bestCurves, differences, type Results } from "./experiments";

const results = (bestSoFar: Results["bestSoFar"]): Results => ({
  id: "e",
  experimentName: "",
  status: "DONE",
  maximize: true,
  trialNumber: 9,
  values: [],
  bestSoFar,
  bestTrial: null,
  bestParameters: {},
  config: {},
});

describe("best values of several experiments", () => {
  const all = [results([[10, 1, 0.5], [30, 4, 0.75]]), results([[20, 2, 0.6]]), results([])];
  it("stand over a common axis, each as far as it went", () => {
    expect(bestCurves(all, "number", [5, 3, 0])).toEqual([[1, 2, 3, 4, 5], [0.5, 0.5, 0.5, 0.75, 0.75], [null, 0.6, 0.6, null, null], [null, null, null, null, null]]);
    expect(bestCurves(all, "time", [40, 20, 0])).toEqual([[10, 20, 30, 40], [0.5, 0.5, 0.75, 0.75], [null, 0.6, null, null], [null, null, null, null]]);
  });
});

describe("differences", () => {
  it("are told leaf by leaf", () => {
    const space = { lr: { _type: "uniform", _value: [0, 1] } };
    expect(
      differences([
        { tuner: { name: "TPE", classArgs: { seed: 1 } }, searchSpace: space, trialConcurrency: 2 },
        { tuner: { name: "Random" }, searchSpace: { lr: { _type: "uniform", _value: [0, 2] } }, trialConcurrency: 2 },
      ]),
    ).toEqual([
      ["tuner.name", ["TPE", "Random"]],
      ["tuner.classArgs.seed", ["1", null]],
      ["searchSpace.lr", ["uniform [0,1]", "uniform [0,2]"]],
    ]);
  });
});
