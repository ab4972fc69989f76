import { describe, expect, it } from "vitest";
import { causeWord, ranInAll, segments, segmentText, waitsSince } from "./attempts";
import { trialOf, type Row, type Trial } from "./model";

function trial(more: Partial<Row>): Trial {
  return trialOf({
    trialJobId: "aaaaa",
    sequenceId: 0,
    status: "RUNNING",
    hyperParameters: ["{}"],
    submitTime: 1000,
    attempt: 1,
    intermediateCount: 0,
    ...more,
  });
}

const retried = trial({
  attempt: 2,
  cause: "infrastructure",
  past: [{ cause: "first", startTime: 3000, endTime: 10_000 }],
  startTime: 15_000,
});
const promoted = trial({
  status: "WAITING",
  attempt: 3,
  cause: "promotion",
  past: [
    { cause: "first", endTime: 2000 },
    { cause: "failure", startTime: 4000, endTime: 9000 },
  ],
});

describe("attempts", () => {
  it("are one segment while there is one", () => {
    const [only, ...others] = segments(trial({ startTime: 4000 }), 65_000);
    expect(others).toEqual([]);
    expect(only && segmentText(only, true)).toBe("Running: waited 3 s, ran 1 min 1 s");
  });

  it("say why each was, how it ended, and when it waited and ran", () => {
    expect(segments(retried, 20_000).map((its) => segmentText(its, false))).toEqual([
      "Attempt 1, first. Failed: waited 2 s, ran 7 s",
      "Attempt 2, after a failure of the cluster. Running: waited 5 s, ran 5 s",
    ]);
  });

  it("let a promoted trial have ended well before, and say nothing of a wait that nobody knows", () => {
    expect(segments(promoted, 20_000).map((its) => segmentText(its, false))).toEqual([
      "Attempt 1, first. Failed: waited 1 s",
      "Attempt 2, after a failure of its own. Succeeded: waited 2 s, ran 5 s",
      "Attempt 3, promoted: goes on with a larger budget. Waiting",
    ]);
  });

  it("do not run before they wait, though a cluster's clock knows only seconds", () => {
    const [only] = segments(trial({ startTime: 400 }), 2000);
    expect(only && segmentText(only, true)).toBe("Running: waited 0 s, ran 1 s");
  });

  it("all count for the time that a trial took", () => {
    expect(ranInAll(retried, 20_000)).toBe(7000 + 5000);
    expect(ranInAll(promoted, 20_000)).toBe(5000);
  });

  it("wait from the end of the one before", () => {
    expect(waitsSince(retried)).toBe(10_000);
    expect(waitsSince(trial({}))).toBe(1000);
  });

  it("of a cause that this page does not know have the manager's word", () => {
    expect(causeWord("eclipse")).toBe("eclipse");
  });
});
