// Some trials side by side.

import { duration, metric, parameter } from "../data/format";
import { shownValue, took, type Model, type Trial } from "../data/model";
import { IntermediateCurves } from "../charts/curves";
import { Dialog, Status } from "./small";

interface Props {
  model: Model;
  trials: readonly Trial[];
  now: number;
  onClose: () => void;
}

export function Compare({ model, trials, now, onClose }: Props) {
  const rows: [name: string, values: string[]][] = [
    ["Metric", trials.map((trial) => metric(shownValue(trial)))],
    ...model.metricNames.map((name): [string, string[]] => [name, trials.map((trial) => metric(trial.metrics?.[name]))]),
    ["Duration", trials.map((trial) => duration(took(trial, now) ?? 0))],
    ...model.parameterNames.map((name): [string, string[]] => [
      name,
      trials.map((trial) => (name in trial.parameters ? parameter(trial.parameters[name]) : "–")),
    ]),
  ];
  return (
    <Dialog title={`Compare ${trials.length} trials`} onClose={onClose} isWide>
      <div class="table" tabIndex={0} role="region" aria-label="Trials side by side">
        <table class="compare">
          <thead>
            <tr>
              <th scope="col">Trial</th>
              {trials.map((trial) => (
                <th scope="col" key={trial.trialJobId} class="number">
                  <a href={`trial/${trial.trialJobId}`}>
                    <code>{trial.trialJobId}</code>
                  </a>
                  <br />
                  <Status status={trial.status} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, values]) => (
              <tr key={name} class={new Set(values).size > 1 ? "differs" : ""}>
                <th scope="row">{name}</th>
                {values.map((value, place) => (
                  <td key={trials[place]?.trialJobId} class="number" title={value}>
                    {value}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h3>Intermediate results</h3>
      <IntermediateCurves trials={trials} height={260} empty="None of them has reported an intermediate result." />
    </Dialog>
  );
}
