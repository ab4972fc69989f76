// What bounds the jobs from outside: the place in a queue, and how much of each quota is taken.

import { plural } from "../data/format";
import { quantity, share } from "../data/quantity";

export interface Amount {
  /** With the flavor before it, where it is a queue's: `gpu-a100: nvidia.com/gpu`. */
  resource: string;
  used: string;
  most: string | null;
}

export interface Quota {
  name: string;
  amounts: Amount[];
}

export interface Queue {
  name: string;
  clusterQueue: string;
  admitted: number;
  waiting: number;
  amounts: Amount[];
  /** Of our own jobs that wait, by their trials; 1 is next. */
  places: Record<string, number>;
}

const MOST_PLACES = 20;

export function QueueView({ queue }: { queue: Queue }) {
  const places = Object.entries(queue.places).sort(([, a], [, b]) => a - b);
  return (
    <>
      <h3>
        Queue {queue.name}
        {queue.clusterQueue && ` of ${queue.clusterQueue}`}
      </h3>
      <p class="hint">
        {plural(queue.admitted, "job")} admitted, {queue.waiting} waiting, of everybody who uses it.
      </p>
      {places.length > 0 && (
        <ol class="plain" aria-label="Places in the queue">
          {places.slice(0, MOST_PLACES).map(([trial, place]) => (
            <li key={trial}>
              <a href={`trial/${trial}?tab=pods`}>
                <code>{trial}</code>
              </a>{" "}
              {place === 1 ? "is next" : `is number ${place}`}
            </li>
          ))}
        </ol>
      )}
      {places.length > MOST_PLACES && <p class="hint">and {places.length - MOST_PLACES} more</p>}
      <Amounts amounts={queue.amounts} label={`Quota of ${queue.clusterQueue || queue.name}`} />
    </>
  );
}

export function QuotaView({ quota }: { quota: Quota }) {
  return (
    <>
      <h3>Quota {quota.name}</h3>
      <Amounts amounts={quota.amounts} label={`Quota ${quota.name}`} />
    </>
  );
}

function Amounts({ amounts, label }: { amounts: readonly Amount[]; label: string }) {
  if (amounts.length === 0) return null;
  return (
    <dl class="amounts" aria-label={label}>
      {amounts.map(({ resource, used, most }) => {
        const taken = share(used, most);
        return (
          <div key={resource} class={taken !== null && taken >= 1 ? "full" : ""}>
            <dt title={resource}>{resource}</dt>
            <dd>
              {quantity(resource, used)}
              {most !== null && ` of ${quantity(resource, most)}`}
            </dd>
            {taken !== null && (
              <span class="taken" aria-hidden="true">
                <span style={{ width: `${(taken * 100).toFixed(1)}%` }} />
              </span>
            )}
          </div>
        );
      })}
    </dl>
  );
}
