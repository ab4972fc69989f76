import { expect, it } from "vitest";
import { lookOf, MOST_LOOKS, placesOf } from "./looks";

it("gives each of many curves a look of its own, and grey to those beyond", () => {
  const looks = Array.from({ length: MOST_LOOKS }, (_, place) => JSON.stringify(lookOf(place)));
  expect(new Set(looks).size).toBe(30);
  expect([lookOf(MOST_LOOKS), lookOf(1000)]).toEqual([{ colour: null, dash: [] }, { colour: null, dash: [] }]);
});

it.each([
  ["what comes gets the first free place", "a b c", "a b c", "0 1 2"],
  ["what stays keeps its own, in whatever order", "a b c", "c d b", "2 0 1"],
  ["what was away is new", "a b", "b", "1"],
])("%s", (_, before, after, expected) => {
  const first = placesOf(before.split(" "), new Map());
  expect([...placesOf(after.split(" "), first).values()].join(" ")).toBe(expected);
});

it("gives a look that has become free to one that was grey", () => {
  const ids = Array.from({ length: MOST_LOOKS + 2 }, (_, place) => `t${place}`);
  const first = placesOf(ids, new Map());
  expect([first.get("t30"), first.get("t31")]).toEqual([30, 31]);
  const second = placesOf(ids.filter((id) => id !== "t7"), first);
  expect([second.get("t30"), second.get("t31"), second.get("t8")]).toEqual([7, 30, 8]);
});
