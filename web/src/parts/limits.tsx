// What bounds the experiment, changed in place; pause, resume and stop.

import { useState } from "preact/hooks";
import { duration, plural, written } from "../data/format";
import type { Experiment, Leaving, Model } from "../data/model";
import { isPaused } from "../data/progress";
import { abandon, change, resume, stop, type Limit } from "../data/rest";
import { Confirm, Copy, useCommand } from "./small";

interface FieldProps {
  label: string;
  shown: string;
  /** What stands in the field when it is opened. */
  text: string;
  hint: string;
  parse: (text: string) => number | string | null;
  limit: Limit;
  isOver: boolean;
  /** What to ask before a value is taken; null for nothing. */
  doubt?: (value: number | string | null) => string | null;
}

/** A limit with a button that turns it into a field. */
function Field({ label, shown, text, hint, parse, limit, isOver, doubt }: FieldProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const [question, setQuestion] = useState<string | null>(null);
  const { run, error, isBusy } = useCommand(() => setDraft(null));
  const id = `limit-${limit}`;
  if (draft === null) {
    return (
      <div>
        <dt>{label}</dt>
        <dd>
          {shown}{" "}
          {!isOver && (
            <button type="button" class="small" aria-label={`Change: ${label}`} onClick={() => setDraft(text)}>
              Change
            </button>
          )}
        </dd>
      </div>
    );
  }
  return (
    <div class="editing">
      <dt>
        <label for={id}>{label}</label>
      </dt>
      <dd>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const asked = doubt?.(parse(draft)) ?? null;
            setQuestion(asked);
            if (asked === null) run(() => change(limit, parse(draft)));
          }}
          onKeyDown={(event) => event.key === "Escape" && setDraft(null)}
        >
          <input
            id={id}
            value={draft}
            placeholder={hint}
            title={hint}
            size={8}
            autocomplete="off"
            ref={focus}
            onInput={(event) => setDraft(event.currentTarget.value)}
          />
          <button type="submit" class="small strong" disabled={isBusy}>
            Save
          </button>
          <button type="button" class="small" onClick={() => setDraft(null)}>
            Leave
          </button>
        </form>
        {error && <p class="notice bad">{error}</p>}
        {question !== null && (
          <Confirm
            title={`${label}: ${draft.trim()}?`}
            verb="Yes, so many"
            onYes={async () => (await change(limit, parse(draft)), setDraft(null))}
            onClose={() => setQuestion(null)}
          >
            <p>{question}</p>
          </Confirm>
        )}
      </dd>
    </div>
  );
}

/** The button that opened the field is gone: the field takes its place for the keyboard. */
const focus = (input: HTMLInputElement | null): void => {
  if (document.activeElement === document.body) input?.focus();
};

/** A whole number as one; what a number cannot hold stays text, for the manager to say what is wrong with it. */
const count = (text: string): number | string | null => {
  const written = text.trim();
  if (written === "") return null;
  return /^\d{1,15}$/.test(written) ? Number(written) : written;
};

/** What one machine bears that runs all trials; told by the manager where that is so. */
interface Bearing {
  manyAtOnce?: number | null;
}

export function Limits({ model }: { model: Model }) {
  const experiment: Experiment & Bearing = model.experiment;
  const many = experiment.manyAtOnce ?? Infinity;
  const { trialConcurrency, maxTrialNumber, maxExperimentSeconds, isOver } = experiment;
  const isDone = isOver && experiment.status !== "DONE";
  return (
    <dl class="facts limits">
      <Field
        label="Trials at once"
        shown={isPaused(model) ? "paused" : String(trialConcurrency)}
        text={String(trialConcurrency)}
        hint="0 pauses"
        parse={count}
        limit="TRIAL_CONCURRENCY"
        isOver={isDone}
        doubt={(number) =>
          typeof number === "number" && number > many
            ? `All trials run on the manager's own machine, which more than ${many} at once may bring to a standstill.`
            : null
        }
      />
      <Field
        label="Trials in all"
        shown={maxTrialNumber === null ? "no limit" : String(maxTrialNumber)}
        text={maxTrialNumber === null ? "" : String(maxTrialNumber)}
        hint="no limit"
        parse={count}
        limit="MAX_TRIAL_NUM"
        isOver={isDone}
      />
      <Field
        label="Time in all"
        shown={maxExperimentSeconds === null ? "no limit" : duration(maxExperimentSeconds * 1000)}
        text={maxExperimentSeconds === null ? "" : written(maxExperimentSeconds)}
        hint="8h, 1 h 30 min; empty: no limit"
        parse={count}
        limit="MAX_EXEC_DURATION"
        isOver={isDone}
      />
    </dl>
  );
}

/** Pausing is running no new trial; the manager knows for the way back how many ran at once. */
export function Controls({ model }: { model: Model }) {
  const [isAsking, setAsking] = useState(false);
  const { run, error, isBusy } = useCommand(() => undefined);
  const { experiment } = model;
  if (experiment.leaving) return <Stop model={model} leaving={experiment.leaving} />;
  if (experiment.status === "STOPPED" || experiment.status === "STOPPING") return null;
  return (
    <p class="actions">
      {experiment.status === "ERROR" && (
        <button
          type="button"
          class="strong"
          disabled={isBusy}
          title="Begins the tuner anew with all results, once what made it fail is mended"
          onClick={() => run(resume)}
        >
          Start the tuner again
        </button>
      )}
      {isPaused(model) ? (
        <button type="button" class="strong" disabled={isBusy} onClick={() => run(resume)}>
          Resume
        </button>
      ) : (
        experiment.status === "RUNNING" && (
          <button type="button" disabled={isBusy} title="Running trials go on; no new one is started" onClick={() => run(() => change("TRIAL_CONCURRENCY", 0))}>
            Pause
          </button>
        )
      )}
      <button type="button" onClick={() => setAsking(true)}>
        Stop experiment
      </button>
      {error && <span class="notice bad">{error}</span>}
      {isAsking && (
        <Confirm title="Stop the experiment?" verb="Stop it" onYes={stop} onClose={() => setAsking(false)}>
          <p>
            {model.counts.RUNNING + model.counts.WAITING > 0
              ? `${model.counts.RUNNING} running and ${model.counts.WAITING} waiting trials are stopped, and their jobs removed. `
              : "No trial is running. "}
            Results, logs and files stay. The portal ends with the experiment.
          </p>
        </Confirm>
      )}
    </p>
  );
}

/** What a stop waits for, and how it goes on without the cluster. */
function Stop({ model, leaving }: { model: Model; leaving: Leaving }) {
  const [isAsking, setAsking] = useState(false);
  const { jobs, removal } = leaving;
  const failed = model.health.find((sign) => sign.part === "platform" && sign.state === "failed");
  if (model.experiment.status !== "STOPPING") return null;
  return (
    <div class="stopping">
      <p class="hint" role="status">
        {removal === null || jobs === 0 ? "Stopping." : `Stopping: waiting for the cluster to delete ${plural(jobs, "job")}.`}
        {removal !== null && failed && ` ${failed.sentence ?? ""}`}
      </p>
      {removal !== null && (
        <p class="actions">
          <button type="button" onClick={() => setAsking(true)}>
            Stop without the cluster
          </button>
        </p>
      )}
      {removal !== null && failed && (
        <>
          <p class="hint">This removes what may be left there:</p>
          <div class="bar">
            <code class="command">{removal}</code> <Copy text={removal} label="Copy" />
          </div>
        </>
      )}
      {removal !== null && isAsking && (
        <Confirm title="Stop without the cluster?" verb="Stop now" onYes={abandon} onClose={() => setAsking(false)}>
          <p>
            Nobody waits for {plural(jobs, "job")} then: what is left on the cluster goes on there, and is removed by <code>{removal}</code>
          </p>
        </Confirm>
      )}
    </div>
  );
}
