// Experiments side by side: what came of each, and in what their configurations differ. Pure.

import { hasResult, type Model, type Trial } from "./model";

/** What came of an experiment, as `experiment-results` has it. */
export interface Results {
  id: string;
  experimentName: string;
  status: string;
  maximize: boolean;
  trialNumber: number;
  /** Final metrics. */
  values: number[];
  /** Each result that was the best so far: milliseconds since the start, which result it was, and its value. */
  bestSoFar: [time: number, number: number, value: number][];
  bestTrial: string | null;
  bestParameters: Record<string, unknown>;
  config: Record<string, unknown>;
}

/** The same of the experiment that the page is about, which knows it to the moment. */
export function ownResults(model: Model, config: Record<string, unknown>): Results {
  const { experiment } = model;
  const start = experiment.startTime ?? 0;
  const done = model.trials.filter(hasResult).sort((a, b) => endOf(a) - endOf(b));
  const bestSoFar: Results["bestSoFar"] = [];
  let bestTrial = null;
  for (const [place, trial] of done.entries()) {
    const value = trial.finalValue ?? 0;
    const before = bestSoFar.at(-1)?.[2];
    if (before !== undefined && (experiment.maximize ? value <= before : value >= before)) continue;
    bestSoFar.push([Math.max(0, endOf(trial) - start), place + 1, value]);
    bestTrial = trial;
  }
  return {
    id: experiment.id,
    experimentName: experiment.name ?? "",
    status: experiment.status,
    maximize: experiment.maximize,
    trialNumber: model.trials.length,
    values: done.map((trial) => trial.finalValue ?? 0),
    bestSoFar,
    bestTrial: bestTrial?.trialJobId ?? null,
    bestParameters: { ...bestTrial?.parameters },
    config,
  };
}

/** When a trial with a result ended: one that goes on has ended before. */
const endOf = ({ endTime, past, submitTime }: Trial): number => endTime ?? past.at(-1)?.endTime ?? submitTime;

/** The best value of each experiment over a common axis; null before its first result and after its last. */
export function bestCurves(all: readonly Results[], by: "time" | "number", ends: readonly number[]): [number[], ...(number | null)[][]] {
  const at = by === "time" ? 0 : 1;
  const steps = new Set<number>(ends);
  for (const one of all) for (const point of one.bestSoFar) steps.add(point[at]);
  const x = [...steps].filter((step) => step > 0).sort((a, b) => a - b);
  const ys = all.map((one, which) => {
    const y: (number | null)[] = [];
    let next = 0;
    for (const step of x) {
      while ((one.bestSoFar[next]?.[at] ?? Infinity) <= step) next += 1;
      y.push(step > (ends[which] ?? 0) ? null : (one.bestSoFar[next - 1]?.[2] ?? null));
    }
    return y;
  });
  return [x, ...ys];
}

/** Names, and what each of several has under them: a line for each leaf in which not all are the same. */
export function differences(all: readonly Record<string, unknown>[]): [name: string, values: (string | null)[]][] {
  const flat = all.map((one) => new Map(leaves(one, "")));
  const names = new Set(flat.flatMap((one) => [...one.keys()]));
  const lines = [...names].map((name): [string, (string | null)[]] => [name, flat.map((one) => one.get(name) ?? null)]);
  return lines.filter(([, values]) => new Set(values).size > 1);
}

function leaves(value: unknown, path: string): [name: string, text: string][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return value === undefined || path === "" ? [] : [[path, typeof value === "string" ? value : JSON.stringify(value)]];
  }
  // A parameter of a search space reads better as a whole.
  if ("_type" in value) return [[path, `${String(value._type)} ${JSON.stringify("_value" in value ? value._value : [])}`]];
  return Object.entries(value).flatMap(([name, its]) => leaves(its, path === "" ? name : `${path}.${name}`));
}
