// What the experiment was started with, and a summary of it to take along: NNI's panels.

import { useState } from "preact/hooks";
import { save } from "../data/export";
import { absolute, duration, metric, parameter, plural, statusWord } from "../data/format";
import { STATUSES, type Dimension, type Model, type Row } from "../data/model";
import { curves, get } from "../data/rest";
import { PANELS, type Panel } from "./about";
import { Copy, Dialog, Fact, Tabs, useCommand, useFetched } from "./small";

/** An experiment as NNI's `experiment` has it. */
interface Profile {
  id: string;
  params: Record<string, unknown> & { searchSpace?: Record<string, Dimension> };
  execDuration: number;
  logDir: string;
}

interface Props {
  model: Model;
  panel: Panel;
  choose: (panel: Panel) => void;
  onClose: () => void;
}

export function Panels({ model, panel, choose, onClose }: Props) {
  const { value: profile, error } = useFetched("experiment", (signal) => get<Profile>("experiment?hide=secrets", signal));
  return (
    <Dialog title={model.experiment.name ?? model.experiment.id} onClose={onClose} isWide>
      <Tabs label="About the experiment" names={PANELS} chosen={panel} choose={(key) => choose(key as Panel)}>
        {error && <p class="notice bad">{error}</p>}
        {!profile && !error && <p class="empty">Loading</p>}
        {profile && panel === "space" && <Space space={profile.params.searchSpace ?? {}} id={profile.id} />}
        {profile && panel === "config" && <Config params={profile.params} id={profile.id} />}
        {profile && panel === "summary" && <Summary model={model} profile={profile} />}
      </Tabs>
    </Dialog>
  );
}

const pretty = (value: unknown): string => JSON.stringify(value, null, 2);

function Take({ text, name }: { text: string; name: string }) {
  return (
    <p class="actions">
      <Copy label="Copy JSON" text={text} />
      <button type="button" class="small" onClick={() => save(name, "application/json", text)}>
        Download
      </button>
    </p>
  );
}

function Space({ space, id }: { space: Record<string, Dimension>; id: string }) {
  const names = Object.keys(space);
  if (names.length === 0) return <p class="empty">The search space is empty.</p>;
  return (
    <>
      <Take text={pretty(space)} name={`${id}.search_space.json`} />
      <div class="table" tabIndex={0} role="region" aria-label="Search space">
        <table class="files">
          <thead>
            <tr>
              <th scope="col">Parameter</th>
              <th scope="col">Type</th>
              <th scope="col">Values</th>
            </tr>
          </thead>
          <tbody>
            {names.map((name) => {
              const { _type: type, _value: values } = space[name] as Dimension;
              const text = (values ?? []).map(parameter).join(", ");
              return (
                <tr key={name}>
                  <td>{name}</td>
                  <td>{type}</td>
                  <td title={text}>{text}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Config({ params: { searchSpace: _, ...params }, id }: { params: Profile["params"]; id: string }) {
  const text = pretty(params);
  return (
    <>
      <Take text={text} name={`${id}.config.json`} />
      <p class="hint">As it is in force, with the limits that were changed since. The search space stands beside it; values that look like secrets are hidden.</p>
      <pre tabIndex={0}>{text}</pre>
    </>
  );
}

function Summary({ model, profile }: { model: Model; profile: Profile }) {
  const { experiment, counts, best } = model;
  const [isWhole, setWhole] = useState(false);
  const { run, error, isBusy } = useCommand(() => undefined);
  const assessor = nameOf(profile.params.assessor);
  const download = async (): Promise<void> => save(`${experiment.id}.summary.json`, "application/json", pretty(await summaryOf(profile, isWhole)));
  return (
    <>
      <dl class="facts wide">
        <Fact name="Experiment">
          <code>{experiment.id}</code>
        </Fact>
        <Fact name="State">{statusWord(experiment.status)}</Fact>
        <Fact name="Started">{experiment.startTime === null ? "–" : absolute(experiment.startTime)}</Fact>
        <Fact name="Ended">{experiment.endTime === null ? "–" : absolute(experiment.endTime)}</Fact>
        <Fact name={experiment.isOver ? "Ran for" : "Running for"}>{duration(profile.execDuration * 1000)}</Fact>
        <Fact name="Platform">{experiment.platform}</Fact>
        <Fact name="Tuner">{experiment.tuner ?? "–"}</Fact>
        {assessor && <Fact name="Assessor">{assessor}</Fact>}
        <Fact name="Trials">
          {STATUSES.filter((status) => (counts[status] ?? 0) > 0)
            .map((status) => `${counts[status]} ${statusWord(status).toLowerCase()}`)
            .join(", ") || "none"}
        </Fact>
        <Fact name={`Best (${experiment.maximize ? "highest" : "lowest"})`}>
          {best ? `${metric(best.finalValue)}, trial ${best.trialJobId}` : "none yet"}
        </Fact>
        <Fact name="Directory">
          <code>{profile.logDir}</code>
        </Fact>
        <Fact name="Release">{experiment.version}</Fact>
      </dl>
      <h3>To take along</h3>
      <p class="hint">
        The configuration and {plural(model.trials.length, "trial")} with parameters, times and final results, as one JSON file (NNI's “experiment summary”).
      </p>
      <p class="actions">
        <button type="button" disabled={isBusy} onClick={() => run(download)}>
          Download summary
        </button>
        <Copy label="Copy summary" text={async () => pretty(await summaryOf(profile, isWhole))} />
        <label class="option">
          <input type="checkbox" checked={isWhole} onChange={(event) => setWhole(event.currentTarget.checked)} />
          with intermediate results
        </label>
        {isBusy && (
          <span class="hint" role="status">
            Collecting
          </span>
        )}
      </p>
      {error && <p class="notice bad">{error}</p>}
    </>
  );
}

function nameOf(algorithm: unknown): string | null {
  const { name, className } = (algorithm ?? {}) as { name?: string; className?: string };
  return name ?? className ?? null;
}

/** Trials whose intermediate results are asked for at once. */
const AT_ONCE = 100;

async function summaryOf(profile: Profile, isWhole: boolean): Promise<unknown> {
  const rows = await get<Row[]>("trial-jobs");
  const found = new Map<string, (number | null)[]>();
  for (let place = 0; isWhole && place < rows.length; place += AT_ONCE) {
    const ids = rows.slice(place, place + AT_ONCE).map((row) => row.trialJobId);
    for (const [id, curve] of await curves(ids)) found.set(id, curve.value);
  }
  const trialMessage = rows.map((row) => (isWhole ? { ...row, intermediate: found.get(row.trialJobId) ?? [] } : row));
  return { experimentParameters: profile, trialMessage };
}
