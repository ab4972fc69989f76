// Our jobs on the cluster: what runs, what waits, and what blocks.

import { useMemo } from "preact/hooks";
import { ago, plural, reasonWord } from "../data/format";
import { isLive, type Model, type Trial } from "../data/model";
import { concerns } from "../data/progress";
import { Lights } from "../parts/lights";
import { Copy, Status, When } from "../parts/small";

export function Cluster({ model, now }: { model: Model; now: number }) {
  const time = now + model.ahead;
  const live = useMemo(() => model.trials.filter(isLive), [model]);
  const blocks = useMemo(() => concerns(model, time).filter((its) => its.kind !== "failed"), [model]);
  const { roles, namespace } = model.experiment;
  const pods = roles.reduce((sum, role) => sum + role.replicas, 0);
  const [cpus, gpus] = [asked(model, "cpus"), asked(model, "gpus")];
  return (
    <>
      <section>
        <h2>How the parts are</h2>
        <Lights health={model.health} platform={model.experiment.platform} now={time} isLong />
      </section>
      <div class="columns">
        <section>
          <h2>Jobs</h2>
          <p class="hint">
            {plural(model.counts.RUNNING, "job")} running, {model.counts.WAITING} waiting; {plural(pods, "pod")} each
            {cpus > 0 && `, ${cpus} CPU`}
            {gpus > 0 && `, ${gpus} GPU`}.
          </p>
          {live.length === 0 ? <p class="empty">No job is on the cluster now.</p> : <Jobs live={live} now={time} />}
          {namespace && (
            <p class="hint">
              <code>kubectl -n {namespace} get pods -l nni/experiment={model.experiment.id} -o wide</code>{" "}
              <Copy label="Copy" text={`kubectl -n ${namespace} get pods -l nni/experiment=${model.experiment.id} -o wide`} />
            </p>
          )}
        </section>
        <section>
          <h2>What blocks</h2>
          {namespace && (
            <p class="hint">
              <code>nnictl doctor</code> checks the cluster, the storage and the rights, and says how to mend them.
            </p>
          )}
          {blocks.length === 0 && <p class="hint">Nothing: every job that was sent runs.</p>}
          <ul class="concerns">
            {blocks.map((its) => (
              <li key={its.sentence} class={its.kind}>
                <p class="hint">
                  {plural(its.count, "trial")}
                  {its.trial.reason && ` · ${reasonWord(its.trial.reason.class).toLowerCase()} · since ${ago(its.trial.reason.since, time)}`}
                </p>
                <p>{its.sentence}</p>
              </li>
            ))}
          </ul>
        </section>
      </div>
    </>
  );
}

const MOST = 200;

function Jobs({ live, now }: { live: readonly Trial[]; now: number }) {
  return (
    <div class="table" tabIndex={0} role="region" aria-label="Jobs">
      <table class="files">
        <thead>
          <tr>
            <th scope="col">Trial</th>
            <th scope="col">State</th>
            <th scope="col">Sent</th>
            <th scope="col">Started</th>
            <th scope="col">Reason</th>
          </tr>
        </thead>
        <tbody>
          {live.slice(-MOST).map((trial) => (
            <tr key={trial.trialJobId}>
              <td>
                <a href={`trial/${trial.trialJobId}?tab=pods`}>
                  <code>{trial.trialJobId}</code>
                </a>
              </td>
              <td>
                <Status status={trial.status} />
              </td>
              <td>
                <When time={trial.submitTime} now={now} />
              </td>
              <td>
                <When time={trial.startTime} now={now} />
              </td>
              <td title={trial.reason?.sentence}>{trial.reason?.sentence ?? ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function asked(model: Model, what: "cpus" | "gpus"): number {
  return model.experiment.roles.reduce((sum, role) => sum + (role[what] ?? 0) * role.replicas, 0);
}
