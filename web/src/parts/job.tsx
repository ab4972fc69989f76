// The job of a trial: what the cluster has, what each role runs, and the commands that show more.

import { save } from "../data/export";
import { plural } from "../data/format";
import type { Detail, Model, Trial } from "../data/model";
import { ask } from "../data/rest";
import { asCommand } from "./selection";
import { Copy, Fact, useFetched } from "./small";

export function Job({ its, model, trial }: { its: Detail | null; model: Model; trial: Trial }) {
  const { operator, namespace, roles } = model.experiment;
  const commands: [string, string][] = [];
  if (its?.job && operator && namespace) {
    const kind = operator === "tf-operator" ? "tfjob" : operator === "job" ? "job" : operator === "trainer" ? "trainjob" : "pytorchjob";
    commands.push(["Its manifest, from the cluster", `kubectl -n ${namespace} get ${kind} ${its.job} -o yaml`]);
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
      <Again trial={trial} model={model} />
      <h3>What each role runs</h3>
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

/** The command that reproduces the trial: another one with the same parameters. */
function Again({ trial, model }: { trial: Trial; model: Model }) {
  const { value } = useFetched(trial.trialJobId, () => asCommand(trial, model));
  if (!value) return null;
  return (
    <>
      <div class="bar">
        <h3>Run it again with the same parameters</h3>
        <Copy label="Copy" text={value} />
      </div>
      <pre tabIndex={0}>{value}</pre>
    </>
  );
}

function Manifest({ trial }: { trial: Trial }) {
  const { value, error } = useFetched(`${trial.trialJobId} ${trial.status} ${trial.attempt}`, async (signal) =>
    (await ask(`trial-manifest/${trial.trialJobId}?hide=secrets`, { signal })).text(),
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
      <p class="hint">Values that look like secrets are hidden.</p>
      <pre tabIndex={0}>{value}</pre>
    </details>
  );
}
