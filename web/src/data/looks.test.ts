import { expect, it } from "vitest";
import { lookOf, MOST_LOOKS } from "./looks";

it("gives each of many curves a look of its own, and grey to those beyond", () => {
  const looks = Array.from({ length: MOST_LOOKS }, (_, place) => JSON.stringify(lookOf(place)));
  expect(new Set(looks).size).toBe(30);
  expect([lookOf(MOST_LOOKS), lookOf(1000)]).toEqual([{ colour: null, dash: [] }, { colour: null, dash: [] }]);
});
