// The first page: how the experiment is doing, what is best so far, what needs a look, and its trials.

import { useState } from "preact/hooks";
import { duration, metric, parameter, roughly, statusWord } from "./format";
import { concerns, parametersOf, progress, shownTrials, type Concern, type Model, type Order, type Status } from "./model";
import { Table } from "./table";

const MOST_ROWS = 500;
const MOST_CONCERNS = 8;
const STATUSES: readonly Status[] = ["RUNNING", "WAITING", "SUCCEEDED", "FAILED", "EARLY_STOPPED", "USER_CANCELED", "SYS_CANCELED"];
/** These are shown when there is none, too, so that the page stands still. */
const ALWAYS: ReadonlySet<Status> = new Set(["RUNNING", "WAITING", "SUCCEEDED", "FAILED"]);

interface Props {
  model: Model;
  now: number;
}

export function Overview({ model, now }: Props) {
  const [statuses, setStatuses] = useState<ReadonlySet<Status>>(new Set());
  const [order, setOrder] = useState<Order>("newest");
  const toggle = (status: Status): void => {
    const next = new Set(statuses);
    if (!next.delete(status)) next.add(status);
    setStatuses(next);
  };
  const trials = shownTrials(model, statuses, order, MOST_ROWS);
  return (
    <>
      {model.experiment.errors.map((sentence) => (
        <p class="notice bad" key={sentence}>
          {sentence}
        </p>
      ))}
      <div class="cards">
        <Best model={model} />
        <Done model={model} now={now} />
        <section>
          <h2>Trials</h2>
          <Counts model={model} chosen={statuses} toggle={toggle} />
        </section>
      </div>
      <div class="columns">
        <Concerns model={model} />
        <section>
          <div class="bar">
            <h2>{statuses.size === 0 ? "All trials" : [...statuses].map(statusWord).join(", ")}</h2>
            <div class="switch" role="group" aria-label="Order">
              {(["newest", "best"] as const).map((one) => (
                <button type="button" key={one} aria-pressed={order === one} onClick={() => setOrder(one)}>
                  {one === "newest" ? "Newest first" : "Best first"}
                </button>
              ))}
            </div>
          </div>
          <Table trials={trials} best={model.best?.trialJobId} now={now + model.ahead} />
          {trials.length === 0 && <p class="empty">{nothing(model, statuses.size > 0, order)}</p>}
          {trials.length === MOST_ROWS && <p class="hint">The first {MOST_ROWS} are shown.</p>}
        </section>
      </div>
    </>
  );
}

function nothing(model: Model, isFiltered: boolean, order: Order): string {
  if (model.trials.length > 0) {
    return order === "best" && !isFiltered ? "No trial has reported a metric yet." : "No trial is like this now.";
  }
  if (model.experiment.isOver || model.experiment.status === "STOPPING") return "There was no trial.";
  return "No trial yet: the tuner is choosing the first parameters. Trials appear here by themselves.";
}

function Best({ model }: { model: Model }) {
  const { best, experiment } = model;
  const direction = experiment.maximize ? "highest" : "lowest";
  return (
    <section class="best">
      <h2>Best, {direction} default metric</h2>
      {best ? (
        <>
          <p class="figure" title={String(best.finalValue)}>
            {metric(best.finalValue)}
          </p>
          <p class="hint">
            trial <code>{best.trialJobId}</code>, number {best.sequenceId}
          </p>
          <dl class="parameters">
            {parametersOf(best).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd title={JSON.stringify(value)}>{parameter(value)}</dd>
              </div>
            ))}
          </dl>
        </>
      ) : (
        <>
          <p class="figure">–</p>
          <p class="hint">Shown as soon as a trial has succeeded with a final result.</p>
        </>
      )}
    </section>
  );
}

function Done({ model, now }: Props) {
  const { ended, of, share, elapsed, left } = progress(model, now);
  const { experiment } = model;
  const percent = share === null ? null : Math.floor(share * 100);
  return (
    <section>
      <h2>Progress</h2>
      <p class="figure">
        {ended}
        {of !== null && <small> of {of} trials</small>}
        {of === null && <small> trials ended</small>}
      </p>
      <div
        class="progress"
        role="progressbar"
        aria-label="Progress"
        aria-valuemin={0}
        aria-valuemax={100}
        {...(percent === null ? {} : { "aria-valuenow": percent })}
      >
        <div style={{ width: `${percent ?? 0}%` }} />
      </div>
      <dl class="facts">
        <div>
          <dt>{experiment.isOver ? "Ran for" : "Running for"}</dt>
          <dd>
            {elapsed === null ? "–" : duration(elapsed)}
            {experiment.maxExperimentSeconds !== null && ` of ${duration(experiment.maxExperimentSeconds * 1000)}`}
          </dd>
        </div>
        <div>
          <dt>Time left</dt>
          <dd>{left === null ? "–" : roughly(left)}</dd>
        </div>
        <div>
          <dt>Trials at once</dt>
          <dd>{experiment.trialConcurrency}</dd>
        </div>
      </dl>
    </section>
  );
}

function Counts({ model, chosen, toggle }: { model: Model; chosen: ReadonlySet<Status>; toggle: (s: Status) => void }) {
  const shown = STATUSES.filter((status) => ALWAYS.has(status) || (model.counts[status] ?? 0) > 0 || chosen.has(status));
  return (
    <div class="counts" role="group" aria-label="Show trials by status">
      {shown.map((status) => (
        <button type="button" key={status} aria-pressed={chosen.has(status)} onClick={() => toggle(status)}>
          <span class={`status ${status}`}>{statusWord(status)}</span> <b>{model.counts[status] ?? 0}</b>
        </button>
      ))}
    </div>
  );
}

function Concerns({ model }: { model: Model }) {
  const all = concerns(model);
  return (
    <section>
      <h2>Needs a look</h2>
      {all.length === 0 && <p class="hint">Nothing: no trial has failed, none is held up.</p>}
      <ul class="concerns">
        {all.slice(0, MOST_CONCERNS).map((concern) => (
          <Look key={concern.kind + concern.sentence} concern={concern} />
        ))}
      </ul>
      {all.length > MOST_CONCERNS && <p class="hint">and {all.length - MOST_CONCERNS} other reasons</p>}
    </section>
  );
}

function Look({ concern: { kind, sentence, trial, count } }: { concern: Concern }) {
  return (
    <li class={kind}>
      <p class="hint">
        <span class={`status ${kind === "failed" ? "FAILED" : "WAITING"}`}>
          {kind === "failed" ? "Failed" : "Held up"}
        </span>{" "}
        · trial <code>{trial.trialJobId}</code>
        {count > 1 && ` and ${count - 1} more`}
      </p>
      <p>{sentence}</p>
      {trial.reason?.evidence && <p class="hint">{trial.reason.evidence}</p>}
      {trial.lastLines && trial.lastLines.length > 0 && (
        <details>
          <summary>Last lines</summary>
          <pre>{trial.lastLines.join("\n")}</pre>
        </details>
      )}
    </li>
  );
}
