// What pages ask beside the stream, and what they command. Every function throws a sentence for people.

import { api } from "./live";
import { numberOf, parse, type Parameters } from "./values";
import type { Detail } from "./model";

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await ask(path, signal ? { signal } : {})).json()) as T;
}

export async function ask(path: string, options: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(api(path), options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Error("The manager does not answer.");
  }
  if (answer.ok) return answer;
  const told = (await answer.json().catch(() => null)) as { error?: string } | null;
  throw new RefusedError(told?.error ?? `The manager answered with status ${answer.status}.`, answer.status);
}

/** The manager answered, but not with what was asked for. */
export class RefusedError extends Error {
  constructor(
    sentence: string,
    /** Of HTTP. */
    readonly status: number,
  ) {
    super(sentence);
  }
}

export const detail = (trial: string, signal?: AbortSignal): Promise<Detail> => get(`trial-jobs/${trial}`, signal);

export type Limit = "TRIAL_CONCURRENCY" | "MAX_TRIAL_NUM" | "MAX_EXEC_DURATION";
const FIELDS: Record<Limit, string> = {
  TRIAL_CONCURRENCY: "trialConcurrency",
  MAX_TRIAL_NUM: "maxTrialNumber",
  MAX_EXEC_DURATION: "maxExperimentDuration",
};

export async function change(limit: Limit, value: number | string | null): Promise<void> {
  const body = JSON.stringify({ params: { [FIELDS[limit]]: value } });
  await ask(`experiment?update_type=${limit}`, { method: "PUT", body, headers: { "Content-Type": "application/json" } });
}

/** Ends a pause, or begins tuner and assessor anew after a failure of theirs that has been mended. */
export async function resume(): Promise<void> {
  await ask("experiment/resume", { method: "POST" });
}

export async function stop(): Promise<void> {
  await ask("experiment", { method: "DELETE" });
}

/** Stops without waiting for the cluster. */
export async function abandon(): Promise<void> {
  await ask("experiment?force=true", { method: "DELETE" });
}

export async function kill(trial: string): Promise<void> {
  await ask(`trial-jobs/${trial}`, { method: "DELETE" });
}

/** Adds a trial with parameters of the user's choice, as JSON text; returns its number. */
export async function addTrial(parameters: string): Promise<number> {
  const answer = await ask("trial-jobs", {
    method: "POST",
    body: parameters,
    headers: { "Content-Type": "application/json" },
  });
  return ((await answer.json()) as { sequenceId: number }).sequenceId;
}

/** The parameters of a trial with all their digits. */
export function exactParameters(its: Detail): Parameters {
  const named = parse(its.hyperParameters[0] ?? "") as { parameters?: Parameters } | null;
  return named?.parameters ?? {};
}

export interface Curve {
  sequence: number[];
  value: (number | null)[];
}

interface Metric {
  trialJobId: string;
  sequence: number;
  /** JSON text of JSON text. */
  data: string;
}

/** The intermediate results of some trials, from a sequence number on. */
export async function curves(trials: readonly string[], since = 0, signal?: AbortSignal): Promise<Map<string, Curve>> {
  const found = new Map<string, Curve>(trials.map((id) => [id, { sequence: [], value: [] }]));
  if (trials.length === 0) return found;
  const from = since > 0 ? `&since=${since}` : "";
  const metrics = await get<Metric[]>(`metric-data?type=PERIODICAL&trials=${trials.join(",")}${from}`, signal);
  for (const metric of metrics) {
    const curve = found.get(metric.trialJobId);
    curve?.sequence.push(metric.sequence);
    curve?.value.push(numberOf(parse(JSON.parse(metric.data) as string)) ?? null);
  }
  return found;
}

export interface Entry {
  name: string;
  isDirectory: boolean;
  size: number;
  modifiedTime: number;
}

export interface Listing {
  path: string;
  url: string | null;
  files: Entry[];
}

export interface KnownExperiment {
  id: string;
  port: number;
  status: string;
  platform: string;
  experimentName: string;
  prefixUrl: string | null;
  startTime: number | "N/A";
  endTime: number | "N/A";
  isAlive: boolean;
  /** The best final metric; null while there is none. */
  best: number | null;
  logDir: string;
}
