import { describe, expect, it } from "vitest";
import { ago, duration, metric, parameter, roughly, statusWord } from "./format";

const SECOND = 1000;
const HOUR = 3600 * SECOND;

describe("times", () => {
  it.each([
    [-5, "0 s"],
    [999, "0 s"],
    [45 * SECOND, "45 s"],
    [185 * SECOND, "3 min 5 s"],
    [180 * SECOND, "3 min"],
    [2 * HOUR + 5 * SECOND, "2 h"],
    [76 * HOUR, "3 d 4 h"],
  ])("%i ms take %s", (time, expected) => expect(duration(time)).toBe(expected));

  it.each([
    [30 * SECOND, "under a minute"],
    [7 * 60 * SECOND, "about 7 min"],
    [3 * HOUR, "about 3 h"],
    [72 * HOUR, "about 3 d"],
  ])("%i ms are %s", (time, expected) => expect(roughly(time)).toBe(expected));

  it.each([
    [0, "just now"],
    [-10 * SECOND, "just now"],
    [45 * SECOND, "45 s ago"],
    [2 * HOUR, "2 h ago"],
    [50 * HOUR, "2 d ago"],
  ])("%i ms since are %s", (time, expected) => expect(ago(0, time)).toBe(expected));
});

describe("values", () => {
  it.each([
    [undefined, "–"],
    [0, "0"],
    [12, "12"],
    [0.90640812, "0.906408"],
    [1234567.891, "1234570"],
    [0.000012345678, "1.2346e-5"],
    [-2.5e12, "-2.5000e+12"],
  ])("metric %s", (value, expected) => expect(metric(value)).toBe(expected));

  it.each([
    [0.1, "0.1"],
    ["relu", "relu"],
    [true, "true"],
    [[1, 2], "[1,2]"],
    [{ _name: "cnn", k: 3 }, "cnn (k=3)"],
    [{ _name: "linear" }, "linear"],
  ])("parameter %j", (value, expected) => expect(parameter(value)).toBe(expected));

  it("words", () => {
    expect([statusWord("SYS_CANCELED"), statusWord("NEW")]).toEqual(["Stopped by manager", "NEW"]);
  });
});
