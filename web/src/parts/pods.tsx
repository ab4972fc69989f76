// The pods of a trial, the events about them, and the attempts before.

import { causeWord } from "../data/attempts";
import { ago, duration } from "../data/format";
import { isLive, type Detail, type Model, type Notice, type Pod, type Replica, type Trial } from "../data/model";
import { Copy, When } from "./small";

interface PodsProps {
  trial: Trial;
  its: Detail | null;
  model: Model;
  now: number;
}

/** Every job that was run for the trial, where there was more than one. */
export function Attempts({ its, now }: { its: Detail | null; now: number }) {
  const attempts = its?.attempts ?? [];
  if (attempts.length < 2) return null;
  return (
    <>
      <h3>Attempts</h3>
      <ol class="concerns">
        {attempts.map((one) => (
          <li key={one.attempt} class={one.reason ? "failed" : "waiting"}>
            <p class="hint">
              Attempt {one.attempt}, {causeWord(one.cause)}
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
export function replicas(its: Detail | null, model: Model): { role: string; index: number; said: Replica | undefined }[] {
  return model.experiment.roles.flatMap(({ name, replicas: count }) =>
    Array.from({ length: count }, (_, index) => ({
      role: name,
      index,
      said: its?.replicas.find((one) => one.role === name && one.index === index),
    })),
  );
}

export function Pods({ trial, its, model, now }: PodsProps) {
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
      {its?.events && its.events.length > 0 ? (
        <Events events={its.events} pods={pods} now={now} />
      ) : (
        model.experiment.namespace && (
          <p class="hint">No event is known. They are asked for while a job does not start, and when it has failed.</p>
        )
      )}
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

function Events({ events, pods, now }: { events: readonly Notice[]; pods: readonly Pod[]; now: number }) {
  const order = [...events].sort((a, b) => b.lastTime - a.lastTime);
  const whose = (its: Notice): string => {
    const pod = pods.find((one) => its.about.startsWith("Pod ") && its.about.endsWith(`/${one.name}`));
    return pod ? `${pod.role}-${pod.index}` : its.about;
  };
  return (
    <>
      <h3>Events</h3>
      <ul class="concerns">
        {order.map((its) => (
          <li key={`${its.about} ${its.reason} ${its.message}`} class={its.type === "Warning" ? "failed" : "waiting"}>
            <p class="hint">
              {its.reason} · <span title={its.about}>{whose(its)}</span> · <When time={its.lastTime} now={now} />
              {its.count > 1 && `, ${its.count} times`}
            </p>
            <p>{its.message}</p>
          </li>
        ))}
      </ul>
    </>
  );
}

function podState(trial: Trial, said: Replica | undefined): string {
  if (said?.exitCode !== undefined) return `ended with exit code ${said.exitCode}${said.stopped ? ", was told to stop" : ""}`;
  if (said) return isLive(trial) ? "running" : "ended without a word";
  return trial.status === "WAITING" ? "not started" : isLive(trial) ? "nothing heard yet" : "nothing was heard";
}
