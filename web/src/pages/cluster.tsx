// Our jobs on the cluster: what runs where, what waits, and what blocks.

import { useMemo, useState } from "preact/hooks";
import { useSteady } from "../charts/steady";
import { plural, reasonWord } from "../data/format";
import { isLive, type Model } from "../data/model";
import { waits, type Concern } from "../data/progress";
import { get } from "../data/rest";
import { QueueView, QuotaView, type Queue, type Quota } from "../parts/bounds";
import { Doctor } from "../parts/doctor";
import { Lights } from "../parts/lights";
import { ByNode, type Node, type OurPod } from "../parts/nodes";
import { Copy, useFetched, useNews, When } from "../parts/small";

/** What others share with our jobs; asked of the cluster, so seldom. */
interface Around {
  nodes: Node[];
  quotas: Quota[];
  queue: Queue | null;
  unseen: string[];
}

const NOTHING: Around = { nodes: [], quotas: [], queue: null, unseen: [] };
const NO_PODS: readonly OurPod[] = [];
/** What is costly to draw follows the stream at this pace. */
const PACE = 250;
const POD_PAUSE = 1000;
const CLUSTER_PAUSE = 10_000;

export function Cluster({ model, now }: { model: Model; now: number }) {
  const time = now + model.ahead;
  const [again, setAgain] = useState(0);
  const isCluster = model.experiment.platform !== "local";
  const pods = useFetched(`pods ${useNews(model.revision, POD_PAUSE)}`, (signal) => get<OurPod[]>("pods", signal));
  const slow = useSteady(model, PACE);
  const news = useNews(model.revision, CLUSTER_PAUSE);
  const around = useFetched(isCluster ? `cluster ${news} ${again}` : null, (signal) => get<Around>("cluster", signal));
  const seen = around.value ?? NOTHING;
  return (
    <>
      <div class="columns health">
        <section>
          <h2>How the parts are</h2>
          <Lights health={model.health} platform={model.experiment.platform} now={time} isLong />
        </section>
        <Doctor now={time} />
      </div>
      <div class="columns">
        <Jobs model={slow} pods={pods.value ?? NO_PODS} nodes={seen.nodes} now={time} />
        <section>
          <div class="bar">
            <h2>What blocks</h2>
            {isCluster && (
              <button type="button" class="small" onClick={() => setAgain(again + 1)}>
                Ask the cluster
              </button>
            )}
          </div>
          {around.error && <p class="notice bad">{around.error}</p>}
          <Blocks model={slow} queue={seen.queue} now={time} />
          {seen.queue && <QueueView queue={seen.queue} />}
          {seen.quotas.map((quota) => (
            <QuotaView key={quota.name} quota={quota} />
          ))}
          {seen.unseen.map((sentence) => (
            <p class="hint" key={sentence}>
              {sentence}
            </p>
          ))}
        </section>
      </div>
    </>
  );
}

function Jobs({ model, pods, nodes, now }: { model: Model; pods: readonly OurPod[]; nodes: readonly Node[]; now: number }) {
  const live = useMemo(() => model.trials.filter(isLive), [model]);
  const { roles, namespace } = model.experiment;
  const each = roles.reduce((sum, role) => sum + role.replicas, 0);
  const [cpus, gpus] = [asked(model, "cpus"), asked(model, "gpus")];
  const command = `kubectl -n ${namespace} get pods -l nni/experiment=${model.experiment.id} -o wide`;
  return (
    <section>
      <h2>{namespace ? "Jobs and pods by node" : "Jobs"}</h2>
      <p class="hint">
        {plural(model.counts.RUNNING, "job")} running, {model.counts.WAITING} waiting
        {namespace && `; ${plural(each, "pod")} each`}
        {cpus > 0 && `, ${cpus} CPU`}
        {gpus > 0 && `, ${gpus} GPU`}.
      </p>
      {live.length === 0 ? (
        <p class="empty">{model.experiment.isOver ? "No job is left: the experiment is over." : "No job is on the cluster now. Jobs appear here as the tuner proposes trials."}</p>
      ) : (
        <ByNode live={live} pods={pods} nodes={nodes} without={namespace ? "No pod yet" : "This machine"} now={now} />
      )}
      {namespace && (
        <p class="hint">
          <code>{command}</code> <Copy label="Copy" text={command} />
        </p>
      )}
    </section>
  );
}

function Blocks({ model, queue, now }: { model: Model; queue: Queue | null; now: number }) {
  const blocks = useMemo(() => waits(model), [model]);
  if (blocks.length === 0) return <p class="hint">{model.counts.RUNNING > 0 ? "Nothing: every job that was sent runs." : "Nothing: no job waits."}</p>;
  return (
    <ul class="concerns">
      {blocks.map((its) => (
        <Block key={its.key} its={its} place={queue?.places[its.trial.trialJobId]} now={now} />
      ))}
    </ul>
  );
}

function Block({ its: { kind, sentence, trial, count }, place, now }: { its: Concern; place: number | undefined; now: number }) {
  return (
    <li class={kind}>
      <p class="hint">
        <a href={`trial/${trial.trialJobId}?tab=pods`}>
          trial <code>{trial.trialJobId}</code>
        </a>
        {count > 1 && ` and ${count - 1} more`}
        {trial.reason && ` · ${reasonWord(trial.reason.class).toLowerCase()}`}
        {trial.reason && trial.reason.since > 0 && (
          <>
            {" · "}
            <When time={trial.reason.since} now={now} />
          </>
        )}
        {place !== undefined && ` · number ${place} in the queue`}
      </p>
      <p>{sentence}</p>
    </li>
  );
}

function asked(model: Model, what: "cpus" | "gpus"): number {
  return model.experiment.roles.reduce((sum, role) => sum + (role[what] ?? 0) * role.replicas, 0);
}
