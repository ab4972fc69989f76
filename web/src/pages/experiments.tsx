// All experiments of this machine.

import { useState } from "preact/hooks";
import { duration, metric } from "../data/format";
import type { Model } from "../data/model";
import { get, type KnownExperiment } from "../data/rest";
import { Status, useFetched, When } from "../parts/small";

export function Experiments({ model, now }: { model: Model; now: number }) {
  const [again, setAgain] = useState(0);
  const [search, setSearch] = useState("");
  const { value, error } = useFetched(`experiments ${model.experiment.status} ${again}`, (signal) =>
    get<KnownExperiment[]>("experiments-info", signal),
  );
  const wanted = search.toLowerCase();
  const shown = (value ?? [])
    .filter((its) => `${its.id} ${its.experimentName} ${its.status} ${its.platform}`.toLowerCase().includes(wanted))
    .reverse();
  return (
    <section>
      <h2>Experiments of this machine</h2>
      <div class="filter" role="search">
        <input type="search" class="search" aria-label="Search experiments" placeholder="Search" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
        <span class="gap" />
        <button type="button" class="small" onClick={() => setAgain(again + 1)}>
          Look again
        </button>
      </div>
      {error && <p class="notice bad">{error}</p>}
      {value && shown.length === 0 && (
        <p class="empty">{value.length === 0 ? "None is listed on this machine. nnictl create --config FILE starts one." : "None is like this."}</p>
      )}
      {shown.length > 0 && (
        <div class="table" tabIndex={0} role="region" aria-label="Experiments">
          <table class="files">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Experiment</th>
                <th scope="col">State</th>
                <th scope="col" class="number">
                  Best
                </th>
                <th scope="col">Platform</th>
                <th scope="col">Started</th>
                <th scope="col" class="number">
                  Took
                </th>
                <th scope="col">Directory</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((its) => (
                <Row key={its.id} its={its} isThis={its.id === model.experiment.id} own={model.best?.finalValue} now={now + model.ahead} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p class="hint">
        An experiment whose portal asks to sign in: <code>nnictl webui url ID</code> prints its link.
      </p>
    </section>
  );
}

interface RowProps {
  its: KnownExperiment;
  /** Whether it is the one whose portal this is; what it has best is then known to the moment. */
  isThis: boolean;
  own: number | undefined;
  now: number;
}

function Row({ its, isThis, own, now }: RowProps) {
  const best = (isThis ? own : undefined) ?? its.best ?? undefined;
  const name = its.experimentName || its.id;
  const started = its.startTime === "N/A" ? undefined : its.startTime;
  const ended = its.endTime === "N/A" ? undefined : its.endTime;
  const time = started === undefined ? undefined : (ended ?? (its.isAlive ? now : undefined));
  return (
    <tr class={isThis ? "is-best" : ""}>
      <td title={name}>
        {isThis ? <a href="oview">{name}</a> : its.isAlive ? <a href={portal(its)}>{name}</a> : name}
        {isThis && <span class="hint"> · this one</span>}
      </td>
      <td>
        <code>{its.id}</code>
      </td>
      <td>
        <Status status={its.status} />
      </td>
      <td class="number" title={best === undefined ? "No final result yet" : String(best)}>
        {metric(best)}
      </td>
      <td>{its.platform}</td>
      <td>
        <When time={started} now={now} />
      </td>
      <td class="number">{time === undefined || started === undefined ? "–" : duration(time - started)}</td>
      <td title={its.logDir}>{its.logDir}</td>
    </tr>
  );
}

/** Each experiment's portal is on a port of its own, on the host under which this one is seen. */
export function portal(its: KnownExperiment): string {
  const prefix = its.prefixUrl ? `/${its.prefixUrl}` : "";
  return `${location.protocol}//${location.hostname}:${its.port}${prefix}/oview`;
}
