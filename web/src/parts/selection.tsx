// What can be done with the trials that were chosen in the table.

import { useState } from "preact/hooks";
import { addCommand } from "../data/export";
import { plural } from "../data/format";
import { api } from "../data/live";
import { isLive, type Model, type Row, type Trial } from "../data/model";
import { addTrial, detail, get, kill } from "../data/rest";
import { Clone, parametersText } from "./clone";
import { Compare } from "./compare";
import { Confirm, Copy, useCommand } from "./small";

interface Props {
  model: Model;
  chosen: ReadonlySet<string>;
  now: number;
  clear: () => void;
}

const MOST_COMPARED = 12;

export function Selection({ model, chosen, now, clear }: Props) {
  const [open, setOpen] = useState<"compare" | "clone" | "kill" | null>(null);
  const [said, setSaid] = useState("");
  const { run, error, isBusy } = useCommand(clear);
  const trials = chosen.size === 0 ? [] : model.trials.filter((trial) => chosen.has(trial.trialJobId));
  const live = trials.filter(isLive);
  const only = trials.length === 1 ? trials[0] : undefined;
  const close = (): void => setOpen(null);
  if (trials.length === 0) {
    // It keeps its place, so that the table stands still when the first trial is chosen.
    return (
      <p class="selection none" role="status">
        {said || (model.trials.length > 0 && "Choose trials to compare, kill, retry or clone them.")}
      </p>
    );
  }
  return (
    <div class="selection" role="group" aria-label="Chosen trials">
      <b>{plural(trials.length, "trial")} chosen</b>
      <button type="button" class="small" disabled={trials.length < 2 || trials.length > MOST_COMPARED} onClick={() => setOpen("compare")}>
        Compare
      </button>
      <button type="button" class="small" disabled={live.length === 0} onClick={() => setOpen("kill")}>
        Kill
      </button>
      <button
        type="button"
        class="small"
        title="Run the same parameters as new trials"
        disabled={isBusy || trials.length > MOST_COMPARED}
        onClick={() => run(async () => setSaid(await retry(trials)))}
      >
        Retry
      </button>
      <button type="button" class="small" disabled={!only} onClick={() => setOpen("clone")}>
        Clone and change
      </button>
      <Copy label="Copy JSON" text={() => asJson(trials)} />
      {only && <Copy label="Copy command" title="Adds a trial with these parameters" text={() => asCommand(only, model)} />}
      <button type="button" class="small" onClick={clear}>
        Clear
      </button>
      {error && <span class="notice bad">{error}</span>}
      {open === "compare" && <Compare model={model} trials={trials} now={now} onClose={close} />}
      {open === "clone" && only && (
        <Clone trial={only} onClose={close} onAdded={(number) => (setSaid(`Trial number ${number} was added.`), clear())} />
      )}
      {open === "kill" && (
        <Confirm title={`Kill ${plural(live.length, "trial")}?`} verb="Kill" onYes={() => killAll(live)} onClose={close}>
          <p>{live.map((trial) => trial.trialJobId).join(", ")} will be stopped. Results so far, logs and files stay.</p>
        </Confirm>
      )}
    </div>
  );
}

async function killAll(trials: readonly Trial[]): Promise<void> {
  for (const trial of trials) await kill(trial.trialJobId);
}

/** Adds a trial with the same parameters for each; returns what to say. */
export async function retry(trials: readonly Trial[]): Promise<string> {
  const numbers: number[] = [];
  for (const trial of trials) numbers.push(await addTrial(await exact(trial)));
  return numbers.length === 1 ? `Trial number ${numbers[0]} was added.` : `Trials number ${numbers.join(", ")} were added.`;
}

async function exact(trial: Trial): Promise<string> {
  return parametersText((await detail(trial.trialJobId)).hyperParameters[0] ?? "{}");
}

/** So many trials are asked for one by one; of more, the whole list is. */
const ONE_BY_ONE = 20;

async function asJson(trials: readonly Trial[]): Promise<string> {
  const wanted = new Set(trials.map((trial) => trial.trialJobId));
  const rows: Row[] =
    trials.length > ONE_BY_ONE
      ? (await get<Row[]>("trial-jobs")).filter((row) => wanted.has(row.trialJobId))
      : await Promise.all(trials.map((trial) => detail(trial.trialJobId)));
  const found = rows.map((its) => ({
    trial: its.trialJobId,
    status: its.status,
    parameters: JSON.parse(parametersText(its.hyperParameters[0] ?? "{}")) as unknown,
    metric: its.finalValue ?? its.lastValue ?? null,
  }));
  return JSON.stringify(found.length === 1 ? found[0] : found, null, 2);
}

export async function asCommand(trial: Trial, model: Model): Promise<string> {
  const text = JSON.stringify(JSON.parse(await exact(trial)));
  return addCommand(api("trial-jobs"), model.experiment.id, text);
}
