// The first page: how the experiment is doing, what is best so far, and what needs a look.

import { useMemo, useState } from "preact/hooks";
import { IntermediateCurves, worthShowing } from "../charts/curves";
import { MetricScatter } from "../charts/scatter";
import { useSteady } from "../charts/steady";
import { capital, duration, hours, metric, parameter, plural, reasonWord, roughly, statusWord } from "../data/format";
import { primary, ranked, type Model, type Sign } from "../data/model";
import { alike, concerns, failures, isPaused, progress, shownStatuses, usage, type Concern } from "../data/progress";
import { detail } from "../data/rest";
import { About } from "../parts/about";
import { allColumns } from "../parts/columns";
import { partName, silence } from "../parts/lights";
import { Controls, Limits } from "../parts/limits";
import { useFetched, When } from "../parts/small";
import { TrialTable } from "../parts/table";

const MOST_CURVES = 12;
const FIRST_CONCERNS = 8;
/** So many more for each press: what is shown of thousands would freeze the page. */
const MORE_CONCERNS = 20;
const TOP = 10;
/** What is costly to draw follows the stream at this pace. */
const PACE = 120;
const CONCERNS_PACE = 3000;

export interface PageProps {
  model: Model;
  now: number;
}

export function Overview({ model, now }: PageProps) {
  const slow = useSteady(model, PACE);
  const shown = useMemo(() => worthShowing(slow.trials, slow.best, MOST_CURVES), [slow]);
  return (
    <>
      <div class="cards">
        <Best model={model} now={now} />
        <Done model={model} now={now} />
        <Counts model={model} now={now} />
      </div>
      <div class="halves">
        <section>
          <h2>{capital(primary(model))} and best so far</h2>
          <MetricScatter model={slow} height={236} />
        </section>
        <section>
          <h2>Intermediate results of running trials, and of the best</h2>
          <IntermediateCurves
            trials={shown}
            height={236}
            best={model.best?.trialJobId}
            empty={
              model.experiment.isOver
                ? "No curve: neither does a trial run, nor has the best one reported an intermediate result."
                : "Curves appear here as trials call nni.report_intermediate_result()."
            }
          />
        </section>
      </div>
      <div class="columns">
        <TopTrials model={slow} now={now} />
        <Concerns model={slow} now={now} />
      </div>
    </>
  );
}

function Best({ model, now }: PageProps) {
  const { best, experiment } = model;
  return (
    <section class="best">
      <h2>
        Best, {experiment.maximize ? "highest" : "lowest"} {primary(model)}
      </h2>
      {best ? (
        <>
          <p class="figure" title={String(best.finalValue)}>
            {metric(best.finalValue)}
          </p>
          <p class="hint">
            <a href={`trial/${best.trialJobId}`}>
              trial <code>{best.trialJobId}</code>
            </a>
            , number {best.sequenceId}, <When time={best.endTime} now={now + model.ahead} />
          </p>
          <div class="scroll" tabIndex={0} role="group" aria-label="Parameters of the best trial">
            <dl class="parameters">
              {Object.entries(best.parameters).map(([name, value]) => (
                <div key={name}>
                  <dt title={name}>{name}</dt>
                  <dd title={JSON.stringify(value)}>{parameter(value)}</dd>
                </div>
              ))}
            </dl>
          </div>
        </>
      ) : (
        <>
          <p class="figure">–</p>
          <p class="hint">{experiment.isOver ? "No trial succeeded with a final result." : "Shown as soon as a trial has succeeded with a final result."}</p>
        </>
      )}
    </section>
  );
}

function Done({ model, now }: PageProps) {
  const { ended, of, share, elapsed, left, isAtMost } = progress(model, now);
  const { experiment } = model;
  const percent = share === null ? null : Math.floor(share * 100);
  return (
    <section>
      <h2>Progress</h2>
      <p class="figure">
        {ended}
        <small>{of === null ? " trials ended" : ` of ${of} trials`}</small>
        {isPaused(model) && <small> · paused</small>}
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
          <dd>{elapsed === null ? "–" : duration(elapsed)}</dd>
        </div>
        <div>
          <dt>Time left</dt>
          <dd title={left === null ? "" : isAtMost ? "as the limit of time allows" : "a guess from the trials so far"}>{left === null ? "–" : isAtMost ? `at most ${duration(left)}` : roughly(left)}</dd>
        </div>
      </dl>
      <Limits model={model} />
      <Controls model={model} />
    </section>
  );
}

function Counts({ model, now }: PageProps) {
  const slow = useSteady(model, 1000);
  const { coreHours, gpuHours, ran } = useMemo(() => usage(slow, now + slow.ahead), [slow, now]);
  const failed = useMemo(() => failures(slow), [slow]);
  return (
    <section>
      <h2>Trials</h2>
      <ul class="counts">
        {shownStatuses(model.counts, new Set()).map((status) => (
          <li key={status}>
            <a href={`detail?status=${status}`} title="Show these trials">
              <span class={`status ${status}`}>{statusWord(status)}</span> <b>{model.counts[status] ?? 0}</b>
            </a>
          </li>
        ))}
      </ul>
      <dl class="facts ruled">
        {gpuHours !== null && (
          <div>
            <dt>GPU-hours</dt>
            <dd>{hours(gpuHours)}</dd>
          </div>
        )}
        {coreHours !== null && (
          <div>
            <dt>Core-hours</dt>
            <dd>{hours(coreHours)}</dd>
          </div>
        )}
        {gpuHours === null && coreHours === null && (
          <div>
            <dt title="All trials together">Trial-hours</dt>
            <dd>{hours(ran / 3_600_000)}</dd>
          </div>
        )}
        {failed.map(([kind, count]) => (
          <div key={kind}>
            <dt>Failed: {reasonWord(kind).toLowerCase()}</dt>
            <dd>{count}</dd>
          </div>
        ))}
      </dl>
      <About model={model} />
    </section>
  );
}

function TopTrials({ model, now }: PageProps) {
  const trials = useMemo(() => ranked(model).slice(0, TOP), [model]);
  const columns = useMemo(() => {
    const all = allColumns(model.parameterNames, model.metricNames);
    const fields = ["number", "id", "status", "metric", "duration", ...model.parameterNames.map((name) => `x:${name}`)];
    return fields.flatMap((field) => all.get(field) ?? []);
  }, [model.parameterNames.length]);
  return (
    <section>
      <div class="bar">
        <h2>Top trials</h2>
        <a class="small" href="detail?sort=metric">
          All trials
        </a>
      </div>
      {trials.length === 0 ? (
        <p class="empty">{nothing(model)}</p>
      ) : (
        <TrialTable
          trials={trials}
          columns={columns}
          best={model.best?.trialJobId}
          now={now + model.ahead}
          height={350}
          label="Top trials"
        />
      )}
    </section>
  );
}

function nothing(model: Model): string {
  const { experiment, trials } = model;
  if (trials.length > 0) return "No trial has succeeded with a final result yet; call nni.report_final_result() at the end of a trial.";
  if (experiment.isOver || experiment.status === "STOPPING") return "There was no trial.";
  return "No trial yet: the tuner is choosing the first parameters. Trials appear here by themselves.";
}

function Concerns({ model, now }: PageProps) {
  // Looking through all trials once in some seconds is enough; some fall silent while nothing changes.
  const slow = useSteady(model, CONCERNS_PACE);
  const time = Math.floor(now / 10_000);
  const all = useMemo(() => concerns(slow, now + slow.ahead), [slow, time]);
  const ailing = model.experiment.isOver ? [] : model.health.filter((sign) => sign.state === "failed" || sign.state === "late");
  const [most, setMost] = useState(FIRST_CONCERNS);
  const rest = all.slice(most);
  const next = Math.min(rest.length, MORE_CONCERNS);
  return (
    <section>
      <h2>Needs a look</h2>
      {all.length + ailing.length === 0 && <p class="hint">Nothing: no trial has failed, none is held up.</p>}
      <ul class="concerns">
        {ailing.map((sign) => (
          <Ailing key={sign.part} sign={sign} platform={model.experiment.platform} now={now + model.ahead} />
        ))}
        {all.slice(0, most).map((concern) => (
          <Look key={concern.key} concern={concern} now={now + model.ahead} />
        ))}
      </ul>
      {rest.length > 0 && (
        <button type="button" class="small" onClick={() => setMost(most + MORE_CONCERNS)}>
          Show {next < rest.length && `${next} of `}
          {plural(rest.length, "more reason")}, of {plural(rest.reduce((sum, its) => sum + its.count, 0), "trial")}
        </button>
      )}
    </section>
  );
}

const MARKS: Record<Concern["kind"], [status: string, word: string]> = {
  failed: ["FAILED", "Failed"],
  silent: ["RUNNING", "Silent"],
  waiting: ["WAITING", "Held up"],
};

function Look({ concern, now }: { concern: Concern; now: number }) {
  const { kind, sentence, since, trial, count } = concern;
  const [status, word] = MARKS[kind];
  return (
    <li class={kind}>
      <p class="hint">
        <span class={`status ${status}`}>{word}</span> ·{" "}
        <a href={`trial/${trial.trialJobId}`}>
          trial <code>{trial.trialJobId}</code>
        </a>
        {count > 1 && (
          <>
            {" and "}
            <a href={alike(concern)} title="Show all of them">
              {count - 1} more like it
            </a>
          </>
        )}
        {since > 0 && (
          <>
            {kind === "silent" ? " · since " : " · "}
            <When time={since} now={now} />
          </>
        )}
      </p>
      <p>{sentence}</p>
      {kind === "failed" && <LastLines id={trial.trialJobId} key={trial.trialJobId} />}
    </li>
  );
}

/** A part that the experiment leans on, and that does not do what it should. */
function Ailing({ sign, platform, now }: { sign: Sign; platform: string; now: number }) {
  const isLate = sign.state === "late";
  return (
    <li class={isLate ? "waiting" : "failed"}>
      <p class="hint">
        <span class={`status ${isLate ? "WAITING" : "FAILED"}`}>{partName(sign.part, platform)}</span> ·{" "}
        {isLate ? silence(sign, now) : <When time={sign.since} now={now} />}
      </p>
      <p>{sign.sentence}</p>
    </li>
  );
}

/** The last lines of a trial that failed; fetched when they are asked for, as the table of all trials goes without them. */
function LastLines({ id }: { id: string }) {
  const [isAsked, setAsked] = useState(false);
  const { value, error } = useFetched(isAsked ? id : null, (signal) => detail(id, signal));
  const lines = value?.lastLines ?? [];
  return (
    <details onToggle={() => setAsked(true)}>
      <summary>Last lines</summary>
      {lines.length > 0 ? <pre tabIndex={0}>{lines.join("\n")}</pre> : <p class="hint">{error ?? (value ? "No line of it is known." : "Loading")}</p>}
    </details>
  );
}
