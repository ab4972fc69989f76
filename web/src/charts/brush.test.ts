import { describe, expect, it } from "vitest";
import { brushed, type Brush } from "./brush";

const rounded = (its: Brush | null | undefined): unknown => its?.map((end) => Math.round(end * 100) / 100) ?? its;

describe("a brush moved by keys", () => {
  it.each<[Brush | undefined, string, boolean, Brush | null | undefined]>([
    [undefined, "ArrowUp", false, [0.5, 1]],
    [undefined, "ArrowDown", false, [0, 0.5]],
    [[0.2, 0.4], "ArrowUp", false, [0.25, 0.45]],
    [[0.02, 0.4], "ArrowDown", false, [0, 0.38]],
    [[0.5, 1], "ArrowUp", false, [0.5, 1]],
    [[0.2, 0.4], "ArrowUp", true, [0.15, 0.45]],
    [[0.2, 0.4], "ArrowDown", true, [0.25, 0.35]],
    [[0.2, 0.3], "ArrowDown", true, [0.2, 0.3]],
    [[0.2, 0.4], "Escape", false, null],
    [[0.2, 0.4], "a", false, undefined],
  ])("%j by %s (shift: %s) is %j", (brush, key, isShifted, expected) => {
    expect(rounded(brushed(brush, key, isShifted))).toEqual(expected);
  });
});
