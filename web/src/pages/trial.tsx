// One trial: what is going on and why, and everything that it left.

import { useState } from "preact/hooks";
import { IntermediateCurves } from "../charts/curves";
import { waitsSince } from "../data/attempts";
import { absolute, duration, metric, parameter, reasonWord } from "../data/format";
import { findTrial, isLive, shownValue, took, type Detail, type Model, type Trial as TrialRow } from "../data/model";
import { detail, exactParameters, kill } from "../data/rest";
import { setQuery, type Route } from "../data/route";
import { verdict } from "../data/verdict";
import { Clone } from "../parts/clone";
import { Files } from "../parts/files";
import { Job } from "../parts/job";
import { Attempts, Pods } from "../parts/pods";
import { asCommand, retry } from "../parts/selection";
import { Confirm, Copy, Fact, Status, Tabs, useCommand, useFetched, useNews, When } from "../parts/small";
import { TrialLogs } from "../parts/triallogs";

const TABS = [
  ["summary", "Summary"],
  ["metrics", "Metrics"],
  ["pods", "Pods"],
  ["logs", "Logs"],
  ["files", "Files"],
  ["job", "Job"],
] as const;

interface Props {
  model: Model;
  now: number;
  route: Route;
}

export function Trial({ model, now, route }: Props) {
  const id = route.rest[0] ?? "";
  const trial = findTrial(model.trials, id);
  if (!trial) {
    return (
      <section>
        <h2>No such trial</h2>
        <p class="empty">
          Experiment {model.experiment.id} has no trial {id}. <a href="detail">All trials</a>
        </p>
      </section>
    );
  }
  return <Known key={id} trial={trial} model={model} now={now} route={route} />;
}

function Known({ trial, model, now, route }: Props & { trial: TrialRow }) {
  // What the table leaves out is fetched again when the trial has moved on; other news, of its replicas, may gather.
  const moment = `${trial.status} ${trial.attempt} ${trial.reason?.sentence ?? ""} ${trial.reason?.since ?? 0} ${trial.intermediateCount > 0}`;
  const news = useNews(trial, 1000);
  const { value, error } = useFetched(`${trial.trialJobId} ${moment} ${news}`, (signal) => detail(trial.trialJobId, signal));
  const time = now + model.ahead;
  const tab = route.query.get("tab") ?? "summary";
  return (
    <>
      <section class={`verdict ${trial.status}`}>
        <div class="bar">
          <h2>
            Trial <code>{trial.trialJobId}</code>, number {trial.sequenceId}
          </h2>
          <Status status={trial.status} />
        </div>
        <p>{verdict(trial, model, time)}</p>
        {trial.reason && (
          <p class="hint">
            {reasonWord(trial.reason.class)}
            {value?.reason?.evidence && ` · ${value.reason.evidence}`}
            {isLive(trial) && value?.reason?.failsAt && value.reason.failsAt > time && (
              <> · given up in {duration(value.reason.failsAt - time)} unless it mends</>
            )}
          </p>
        )}
        <Actions trial={trial} model={model} />
      </section>
      {error && <p class="notice bad">{error}</p>}
      <section>
        <Tabs label="Trial" names={TABS} chosen={tab} choose={(key) => setQuery({ tab: key === "summary" ? null : key })}>
          {tab === "summary" && <Summary trial={trial} its={value} model={model} now={time} />}
          {tab === "metrics" && (
            <IntermediateCurves
              trials={[trial]}
              height={320}
              best={model.best?.trialJobId}
              empty={
                isLive(trial)
                  ? "A curve appears here when the trial calls nni.report_intermediate_result()."
                  : "It reported no intermediate result."
              }
            />
          )}
          {tab === "pods" && <Pods trial={trial} its={value} model={model} now={time} />}
          {tab === "logs" && <TrialLogs trial={trial} model={model} query={route.query} />}
          {tab === "files" && <Files trial={trial.trialJobId} now={time} moment={moment} />}
          {tab === "job" && <Job its={value} model={model} trial={trial} />}
        </Tabs>
      </section>
    </>
  );
}

function Actions({ trial, model }: { trial: TrialRow; model: Model }) {
  const [open, setOpen] = useState<"kill" | "clone" | null>(null);
  const [said, setSaid] = useState("");
  const { run, error, isBusy } = useCommand(() => undefined);
  return (
    <p class="actions">
      {isLive(trial) && (
        <button type="button" onClick={() => setOpen("kill")}>
          Kill
        </button>
      )}
      <button
        type="button"
        disabled={isBusy}
        title="Run the same parameters as a new trial"
        onClick={() => run(async () => setSaid(await retry([trial])))}
      >
        Retry
      </button>
      <button type="button" onClick={() => setOpen("clone")}>
        Clone and change
      </button>
      <Copy label="Copy command" title="Adds a trial with these parameters" text={() => asCommand(trial, model)} />
      <span role="status" class="hint">
        {said}
      </span>
      {error && <span class="notice bad">{error}</span>}
      {open === "kill" && (
        <Confirm title={`Kill trial ${trial.trialJobId}?`} verb="Kill" onYes={() => kill(trial.trialJobId)} onClose={() => setOpen(null)}>
          <p>Its pods are told to stop and its job is removed. Results so far, logs and files stay.</p>
        </Confirm>
      )}
      {open === "clone" && <Clone trial={trial} onClose={() => setOpen(null)} onAdded={(number) => setSaid(`Trial number ${number} was added.`)} />}
    </p>
  );
}

interface PartProps {
  trial: TrialRow;
  its: Detail | null;
  model: Model;
  now: number;
}

function Summary({ trial, its, model, now }: PartProps) {
  const parameters = its ? exactParameters(its) : trial.parameters;
  const time = took(trial, now);
  const waited = (trial.startTime ?? trial.endTime ?? now) - waitsSince(trial);
  return (
    <div class="halves flat">
      <div>
        <div class="bar">
          <h3>What became of it</h3>
        </div>
        <dl class="facts wide">
          <Fact name={trial.finalValue === undefined ? "Last intermediate result" : "Final metric"}>{metric(shownValue(trial))}</Fact>
          {model.metricNames.map((name) => (
            <Fact key={name} name={name}>
              {metric(trial.metrics?.[name])}
            </Fact>
          ))}
          <Fact name="Reports">{trial.intermediateCount}</Fact>
          <Fact name="Submitted">
            <When time={trial.submitTime} now={now} />
          </Fact>
          <Fact name="Waited">{duration(waited)}</Fact>
          <Fact name={isLive(trial) ? "Running for" : "Ran for"}>{time === undefined ? "–" : duration(time)}</Fact>
          {trial.endTime !== undefined && <Fact name="Ended">{absolute(trial.endTime)}</Fact>}
          <Fact name="Attempt">{trial.attempt}</Fact>
          {trial.exitCode !== undefined && <Fact name="Exit code">{trial.exitCode}</Fact>}
          {its?.metricPath && <Fact name="Metrics came by">{its.metricPath === "intake" ? "the network" : "the volume"}</Fact>}
        </dl>
        <Attempts its={its} now={now} />
        {its?.lastLines && its.lastLines.length > 0 && (
          <>
            <h3>Last lines</h3>
            <pre tabIndex={0}>{its.lastLines.join("\n")}</pre>
          </>
        )}
      </div>
      <div>
        <div class="bar">
          <h3>Parameters</h3>
          <Copy label="Copy JSON" text={JSON.stringify(parameters, null, 2)} />
        </div>
        <dl class="facts wide">
          {Object.entries(parameters).map(([name, value]) => (
            <Fact key={name} name={name}>
              <span title={JSON.stringify(value)}>{typeof value === "number" ? String(value) : parameter(value)}</span>
            </Fact>
          ))}
        </dl>
      </div>
    </div>
  );
}
