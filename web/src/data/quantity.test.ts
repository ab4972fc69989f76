import { describe, expect, it } from "vitest";
import { amount, capacity, quantity, share } from "./quantity";

describe("quantities", () => {
  it.each([
    ["4", 4],
    ["500m", 0.5],
    ["1e3", 1000],
    ["16Gi", 16 * 1024 ** 3],
    ["2k", 2000],
    ["many", null],
    ["4 apples", null],
  ])("%s is %s", (text, expected) => expect(amount(text)).toBe(expected));

  it("are written for people", () => {
    expect(quantity("requests.memory", "263847932Ki")).toBe("252 GiB");
    expect(quantity("cpu", "1500m")).toBe("1.5");
    expect(quantity("count/pods", "what")).toBe("what");
    expect(capacity({ cpu: "64", memory: "256Gi", pods: "110", "nvidia.com/gpu": "8", "amd.com/gpu": "0" })).toBe(
      "64 CPU, 256 GiB memory, 8 nvidia.com/gpu",
    );
  });

  it("are shares of a bound, where there is one", () => {
    expect([share("2", "8"), share("9", "8"), share("1", "0"), share("1", null), share("1", "?")]).toEqual([0.25, 1, 1, null, null]);
  });
});
