// One trial: what is going on and why, and everything that it left.

import { useState } from "preact/hooks";
import { IntermediateCurves } from "../charts/curves";
import { save } from "../data/export";
import { absolute, ago, duration, metric, parameter, plural, reasonWord } from "../data/format";
import { findTrial, isLive, shownValue, took, type Attempt, type Detail, type Model, type Notice, type Pod, type Trial as TrialRow } from "../data/model";
import { ask, detail, exactParameters, kill } from "../data/rest";
import { setQuery, type Route } from "../data/route";
import { verdict } from "../data/verdict";
import { Clone } from "../parts/clone";
import { Files } from "../parts/files";
import { Log } from "../parts/log";
import { asCommand, retry } from "../parts/selection";
import { Confirm, Copy, Status, Tabs, useCommand, useFetched, When } from "../parts/small";

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
  // What the table leaves out is fetched again when the trial has moved on, not at every metric.
  const moment = `${trial.status} ${trial.attempt} ${trial.reason?.sentence ?? ""} ${trial.reason?.since ?? 0} ${trial.intermediateCount > 0}`;
  const { value, error } = useFetched(`${trial.trialJobId} ${moment}`, (signal) => detail(trial.trialJobId, signal));
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
              best={trial.trialJobId}
              empty={
                isLive(trial)
                  ? "A curve appears here when the trial calls nni.report_intermediate_result()."
                  : "It reported no intermediate result."
              }
            />
          )}
          {tab === "pods" && <Pods trial={trial} its={value} model={model} now={time} />}
          {tab === "logs" && <Logs trial={trial} model={model} query={route.query} />}
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
  const waited = (trial.startTime ?? trial.endTime ?? now) - trial.submitTime;
  return (
    <div class="halves flat">
      <div>
        <h3>What became of it</h3>
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

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const CAUSES: Record<Attempt["cause"], string> = {
  first: "first",
  infrastructure: "after a failure of the cluster",
  failure: "after a failure of its own",
};

/** Every job that was run for the trial, where there was more than one. */
function Attempts({ its, now }: { its: Detail | null; now: number }) {
  const attempts = its?.attempts ?? [];
  if (attempts.length < 2) return null;
  return (
    <>
      <h3>Attempts</h3>
      <ol class="concerns">
        {attempts.map((one) => (
          <li key={one.attempt} class={one.reason ? "failed" : "waiting"}>
            <p class="hint">
              Attempt {one.attempt}, {CAUSES[one.cause]}
              {one.startTime !== undefined && `, ran ${duration((one.endTime ?? now) - one.startTime)}`}
              {one.job && (
                <>
                  {" "}
                  · <code>{one.job}</code>
                </>
              )}
            </p>
            {one.reason && <p>{one.reason.sentence}</p>}
          </li>
        ))}
      </ol>
    </>
  );
}

/** All replicas of the job: what the configuration asks for, and what was heard of each. */
function replicas(its: Detail | null, model: Model): { role: string; index: number; said: Detail["replicas"][number] | undefined }[] {
  return model.experiment.roles.flatMap(({ name, replicas: count }) =>
    Array.from({ length: count }, (_, index) => ({
      role: name,
      index,
      said: its?.replicas.find((one) => one.role === name && one.index === index),
    })),
  );
}

function Pods({ trial, its, model, now }: PartProps) {
  const pods = its?.pods ?? [];
  return (
    <>
      <div class="table" tabIndex={0} role="region" aria-label="Replicas">
        <table class="files">
          <thead>
            <tr>
              <th scope="col">Replica</th>
              <th scope="col">State</th>
              {pods.length > 0 && <th scope="col">Pod</th>}
              {pods.length > 0 && <th scope="col">Node</th>}
              <th scope="col">Last heard</th>
              <th scope="col" class="number">
                Metrics
              </th>
              <th scope="col">Last line</th>
            </tr>
          </thead>
          <tbody>
            {replicas(its, model).map(({ role, index, said }) => (
              <tr key={`${role}-${index}`}>
                <td>
                  <a href={`trial/${trial.trialJobId}?tab=logs&replica=${role}-${index}`}>
                    {role}-{index}
                  </a>
                </td>
                <td>{podState(trial, said)}</td>
                {pods.length > 0 && <PodCells pod={pods.find((pod) => pod.role === role && pod.index === index)} />}
                <td>{said?.heardAt === undefined ? "–" : ago(said.heardAt, now)}</td>
                <td class="number">{said?.metrics ?? 0}</td>
                <td title={said?.lastLines?.at(-1)}>{said?.lastLines?.at(-1) ?? ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {its?.events && its.events.length > 0 && <Events events={its.events} now={now} />}
      {its?.job && model.experiment.namespace && (
        <p class="hint">
          <code>
            kubectl -n {model.experiment.namespace} describe pods -l nni/trial={trial.trialJobId}
          </code>{" "}
          <Copy label="Copy" text={`kubectl -n ${model.experiment.namespace} describe pods -l nni/trial=${trial.trialJobId}`} />
        </p>
      )}
    </>
  );
}

function PodCells({ pod }: { pod: Pod | undefined }) {
  return (
    <>
      <td title={pod?.name}>{pod ? `${pod.phase}${pod.state ? `, ${pod.state}` : ""}` : "–"}</td>
      <td title={pod?.node}>{pod?.node || "–"}</td>
    </>
  );
}

function Events({ events, now }: { events: readonly Notice[]; now: number }) {
  const order = [...events].sort((a, b) => b.lastTime - a.lastTime);
  return (
    <>
      <h3>Events</h3>
      <ul class="concerns">
        {order.map((its) => (
          <li key={`${its.about} ${its.reason} ${its.message}`} class={its.type === "Warning" ? "failed" : "waiting"}>
            <p class="hint">
              {its.reason} · {its.about} · <When time={its.lastTime} now={now} />
              {its.count > 1 && `, ${its.count} times`}
            </p>
            <p>{its.message}</p>
          </li>
        ))}
      </ul>
    </>
  );
}

function podState(trial: TrialRow, said: Detail["replicas"][number] | undefined): string {
  if (said?.exitCode !== undefined) return `ended with exit code ${said.exitCode}${said.stopped ? ", was told to stop" : ""}`;
  if (said) return isLive(trial) ? "running" : "ended without a word";
  return trial.status === "WAITING" ? "not started" : isLive(trial) ? "nothing heard yet" : "nothing was heard";
}

const STREAMS = ["stdout", "stderr", "trial.log"];

function Logs({ trial, model, query }: { trial: TrialRow; model: Model; query: URLSearchParams }) {
  const names = replicas(null, model).map(({ role, index }) => `${role}-${index}`);
  const replica = query.get("replica") ?? names[0] ?? "worker-0";
  const stream = query.get("stream") ?? "stdout";
  const attempts = Array.from({ length: trial.attempt }, (_, place) => String(place + 1));
  const attempt = query.get("attempt") ?? String(trial.attempt);
  return (
    <>
      <div class="filter">
        <Choice label="Replica" names={names} chosen={replica} choose={(its) => setQuery({ replica: its })} />
        <Choice label="Stream" names={STREAMS} chosen={stream} choose={(its) => setQuery({ stream: its === "stdout" ? null : its })} />
        {attempts.length > 1 && <Choice label="Attempt" names={attempts} chosen={attempt} choose={(its) => setQuery({ attempt: its })} />}
      </div>
      <Log
        path={`trial-file/${trial.trialJobId}/${attempt}/${replica}/${stream}`}
        isLive={isLive(trial)}
        empty={isLive(trial) ? "Nothing yet; lines appear here as the trial writes them." : `It wrote nothing to ${stream}.`}
      />
    </>
  );
}

interface ChoiceProps {
  label: string;
  names: readonly string[];
  chosen: string;
  choose: (name: string) => void;
}

function Choice({ label, names, chosen, choose }: ChoiceProps) {
  if (names.length > 6) {
    return (
      <label class="option">
        {label}
        <select value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
          {names.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
    );
  }
  return (
    <div class="choice" role="group" aria-label={label}>
      {names.map((name) => (
        <button type="button" key={name} class="small" aria-pressed={name === chosen} onClick={() => choose(name)}>
          {name}
        </button>
      ))}
    </div>
  );
}

function Job({ its, model, trial }: { its: Detail | null; model: Model; trial: TrialRow }) {
  const { operator, namespace, roles } = model.experiment;
  const commands: [string, string][] = [];
  if (its?.job && operator && namespace) {
    const kind = operator === "tf-operator" ? "tfjob" : operator === "job" ? "job" : operator === "trainer" ? "trainjob" : "pytorchjob";
    commands.push(["Its manifest", `kubectl -n ${namespace} get ${kind} ${its.job} -o yaml`]);
    commands.push(["Its pods", `kubectl -n ${namespace} get pods -l nni/trial=${trial.trialJobId} -o wide`]);
    commands.push(["What happened to it", `kubectl -n ${namespace} describe ${kind} ${its.job}`]);
  }
  return (
    <>
      <dl class="facts wide">
        <Fact name="Job">{its?.job ? <code>{its.job}</code> : "not created yet"}</Fact>
        {its?.logPath && (
          <Fact name="Directory">
            <code>{its.logPath}</code> <Copy label="Copy" text={its.logPath} />
          </Fact>
        )}
      </dl>
      {operator && its?.job && <Manifest trial={trial} />}
      {commands.map(([title, command]) => (
        <div key={command}>
          <div class="bar">
            <h3>{title}</h3>
            <Copy label="Copy" text={command} />
          </div>
          <pre tabIndex={0}>{command}</pre>
        </div>
      ))}
      <h3>Commands</h3>
      {roles.map((role) => (
        <div key={role.name}>
          <p class="hint">
            {role.name}, {plural(role.replicas, "replica")}
            {role.cpus ? `, ${role.cpus} CPU` : ""}
            {role.gpus ? `, ${role.gpus} GPU` : ""}
            {role.image && `, ${role.image}`}
          </p>
          <pre tabIndex={0}>{role.command}</pre>
        </div>
      ))}
    </>
  );
}

function Manifest({ trial }: { trial: TrialRow }) {
  const { value, error } = useFetched(`${trial.trialJobId} ${trial.status} ${trial.attempt}`, async (signal) =>
    (await ask(`trial-manifest/${trial.trialJobId}`, { signal })).text(),
  );
  if (error) return <p class="hint">{error}</p>;
  if (value === null) return null;
  return (
    <details open>
      <summary>The job as the cluster has it</summary>
      <p class="actions">
        <Copy label="Copy" text={value} />
        <button type="button" class="small" onClick={() => save(`${trial.trialJobId}.yaml`, "application/yaml", value)}>
          Download
        </button>
      </p>
      <pre tabIndex={0}>{value}</pre>
    </details>
  );
}
