import { describe, expect, it } from "vitest";
import { pieces, plain } from "./ansi";
import { addCommand, csv, shellWord } from "./export";
import { trialOf } from "./model";
import { Lines, MOST_LINES } from "./tail";
import { numberOf, parse, point } from "./values";
import { readCsv } from "../parts/files";

describe("a terminal's colours", () => {
  it.each([
    ["plain", [["plain", ""]]],
    ["\u001b[31mred\u001b[0m rest", [["red", "fg1"], [" rest", ""]]],
    ["\u001b[1;92mloud\u001b[39;22m x", [["loud", "fg2 bold"], [" x", ""]]],
    ["\u001b[38;5;200mmany", [["many", ""]]],
    ["10%\r20%\r100%\r", [["100%", ""]]],
    ["\u001b[2K\u001b[1Aup \u001b]0;title\u0007there", [["up there", ""]]],
    ["", []],
  ])("%j", (line, expected) => {
    expect(pieces(line).map(({ text, style }) => [text, style])).toEqual(expected);
    expect(plain(line)).toBe(expected.map(([text]) => text).join(""));
  });
});

describe("lines", () => {
  it("puts together what came in parts, and keeps so many", () => {
    const lines = new Lines();
    lines.add("a\nb");
    lines.add("c\n\nd");
    expect(lines.all()).toEqual(["a", "bc", "", "d"]);
    lines.add("\n".repeat(MOST_LINES));
    expect([lines.all().length, lines.dropped]).toEqual([MOST_LINES, 3]);
  });
});

describe("values", () => {
  it.each([
    ["1.5", 1.5],
    ['{"default": NaN, "loss": 2}', { default: "NaN", loss: 2 }],
    ["NaN", "NaN"],
    ["[-Infinity, 1]", ["-Infinity", 1]],
    ["not json", null],
  ])("parse %s", (text, expected) => expect(parse(text)).toEqual(expected));

  it.each([
    [3, 3],
    [{ default: 2, loss: 1 }, 2],
    ["NaN", undefined],
  ])("number of %j", (value, expected) => expect(numberOf(value)).toBe(expected));

  it.each([
    [0.1, 0.1],
    ["relu", "relu"],
    [{ _name: "cnn", k: 1 }, "cnn"],
    [[1, 2], "[1,2]"],
    [undefined, undefined],
  ])("point of %j", (value, expected) => expect(point(value)).toBe(expected));
});

describe("files", () => {
  it("writes CSV that a spreadsheet can be trusted with", () => {
    const trial = trialOf({
      trialJobId: "aaaaa",
      sequenceId: 0,
      status: "FAILED",
      hyperParameters: ['{"parameters":{"x":-1.5,"cmd":"=1+1","text":"a \\"b\\", c"}}'],
      submitTime: 0,
      startTime: 1000,
      endTime: 3500,
      attempt: 2,
      intermediateCount: 1,
      lastValue: 0.5,
    });
    const fields = ["number", "id", "status", "metric", "y:loss", "duration", "ended", "reason", "x:x", "x:cmd", "x:text"];
    const [head, row] = csv([trial], fields, 0).trim().split("\r\n");
    expect(head).toBe("number,trial,status,metric,metric.loss,duration_s,ended,reason,x,cmd,text");
    expect(row).toBe(`0,aaaaa,FAILED,0.5,,2.5,1970-01-01T00:00:03.500Z,,-1.5,'=1+1,"a ""b"", c"`);
  });
  it.each([
    ["a,b\n1,2\n", [["a", "b"], ["1", "2"]]],
    ['"x, ""y""",z\r\n', [['x, "y"', "z"]]],
    ["a,,c", [["a", "", "c"]]],
  ])("reads CSV %j", (text, expected) => expect(readCsv(text, 10)).toEqual(expected));
});

describe("commands", () => {
  it.each([
    ["plain-1.0", "plain-1.0"],
    ["it's $x", `'it'\\''s $x'`],
  ])("word %s", (text, expected) => expect(shellWord(text)).toBe(expected));
  it("carries parameters in one word", () => {
    expect(addCommand("http://h/api", "e1", '{"a": "b c"}')).toContain(`-d '{"a": "b c"}'`);
  });
});
