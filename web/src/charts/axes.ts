// How a parameter's values lie along an axis, from 0 to 1.

import { metric } from "../data/format";
import type { Dimension, Trial } from "../data/model";
import { point } from "../data/values";

export interface Scale {
  name: string;
  /** Null where the trial has no value. */
  at: (trial: Trial) => number | null;
  /** Places and their names. */
  ticks: { at: number; text: string }[];
  /** The value at a place, for people. */
  text: (at: number) => string;
  /** Whether there are but a few values, each with a tick. */
  hasSteps: boolean;
  isLogarithmic: boolean;
}

const MOST_WORDS = 30;

/** The scale of some value of trials: numbers linear or logarithmic, words one beside the other. */
export function scaleOf(
  name: string,
  trials: readonly Trial[],
  value: (trial: Trial) => number | string | undefined,
  dimension?: Dimension,
): Scale {
  const words = new Set<string>();
  let low = Infinity;
  let high = -Infinity;
  for (const trial of trials) {
    const its = value(trial);
    if (typeof its === "number") {
      low = Math.min(low, its);
      high = Math.max(high, its);
    } else if (its !== undefined) words.add(its);
  }
  if (words.size > 0 || low > high || dimension?._type === "choice") return byWords(name, trials, value, words);
  const isLogarithmic = low > 0 && (dimension?._type.includes("log") ?? false);
  return byNumbers(name, value, low, high, isLogarithmic);
}

export function parameterScale(name: string, trials: readonly Trial[], space: Record<string, Dimension>): Scale {
  return scaleOf(name, trials, (trial) => point(trial.parameters[name]), space[name]);
}

function byWords(
  name: string,
  trials: readonly Trial[],
  value: (trial: Trial) => number | string | undefined,
  words: Set<string>,
): Scale {
  // Numbers among words (a choice of both) are words too.
  for (const trial of trials) {
    const its = value(trial);
    if (typeof its === "number") words.add(String(its));
  }
  const order = [...words].sort((a, b) => (Number.isNaN(Number(a) - Number(b)) ? (a < b ? -1 : 1) : Number(a) - Number(b)));
  const places = new Map(order.map((word, place) => [word, order.length === 1 ? 0.5 : (place + 0.5) / order.length]));
  const step = Math.ceil(order.length / MOST_WORDS);
  return {
    name,
    at: (trial) => {
      const its = value(trial);
      return its === undefined ? null : (places.get(String(its)) ?? null);
    },
    ticks: order.filter((_, place) => place % step === 0).map((word) => ({ at: places.get(word) ?? 0, text: word })),
    text: (at) => order[Math.min(order.length - 1, Math.max(0, Math.floor(at * order.length)))] ?? "",
    hasSteps: true,
    isLogarithmic: false,
  };
}

function byNumbers(
  name: string,
  value: (trial: Trial) => number | string | undefined,
  low: number,
  high: number,
  isLogarithmic: boolean,
): Scale {
  const to = isLogarithmic ? Math.log10 : (its: number): number => its;
  const back = isLogarithmic ? (its: number): number => 10 ** its : (its: number): number => its;
  const start = to(low);
  const length = to(high) - start;
  const text = (at: number): string => metric(Number(back(start + at * length).toPrecision(4)));
  return {
    name,
    at: (trial) => {
      const its = value(trial);
      if (typeof its !== "number" || (isLogarithmic && its <= 0)) return null;
      return length === 0 ? 0.5 : (to(its) - start) / length;
    },
    ticks: length === 0 ? [{ at: 0.5, text: metric(low) }] : ticksOf(low, high, isLogarithmic).map((at) => ({ at, text: text(at) })),
    text,
    hasSteps: isFew(low, high, isLogarithmic),
    isLogarithmic,
  };
}

const FEW = 10;

const isFew = (low: number, high: number, isLogarithmic: boolean): boolean =>
  Number.isInteger(low) && Number.isInteger(high) && !isLogarithmic && high - low <= FEW;

/** Every whole number where there are few, else the quarters. */
function ticksOf(low: number, high: number, isLogarithmic: boolean): number[] {
  if (!isFew(low, high, isLogarithmic)) return [0, 0.25, 0.5, 0.75, 1];
  return Array.from({ length: high - low + 1 }, (_, step) => step / (high - low));
}

/** Blue-green to yellow, as `viridis` has it: even to the eye, and to the colour-blind. 0 is worst, 1 is best. */
export function shade(share: number, isDark: boolean): string {
  const stops = isDark
    ? [[72, 60, 118], [58, 100, 155], [40, 150, 150], [95, 200, 100], [253, 231, 60]]
    : [[190, 200, 225], [110, 160, 205], [38, 130, 142], [45, 105, 110], [68, 1, 84]];
  const at = Math.min(0.9999, Math.max(0, share)) * (stops.length - 1);
  const [from, to] = [stops[Math.floor(at)] ?? [], stops[Math.floor(at) + 1] ?? []];
  const mixed = from.map((its, place) => Math.round(its + ((to[place] ?? its) - its) * (at % 1)));
  return `rgb(${mixed.join(" ")})`;
}

/** The shades from worst to best, as CSS paints them. */
export function shades(dark: boolean): string {
  return `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map((share) => shade(share, dark)).join(", ")})`;
}

export function isDark(colour: string): boolean {
  const [red = 255, green = 255, blue = 255] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return red + green + blue < 384;
}
