// Trials in rows.

import { Component } from "preact";
import { absolute, ago, duration, metric, parameter } from "./format";
import { parametersOf, shownValue, type Trial } from "./model";
import { Status } from "./app";

interface Props {
  trials: Trial[];
  best: string | undefined;
  /** The manager's time. */
  now: number;
}

export function Table({ trials, best, now }: Props) {
  if (trials.length === 0) return null;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col" class="number">
            No.
          </th>
          <th scope="col">Trial</th>
          <th scope="col">Status</th>
          <th scope="col" class="number">
            Metric
          </th>
          <th scope="col" class="number wide" title="Intermediate results">
            Results
          </th>
          <th scope="col" class="number wide">
            Took
          </th>
          <th scope="col" class="wide">
            Started
          </th>
          <th scope="col" class="wide rest">
            Parameters
          </th>
        </tr>
      </thead>
      <tbody>
        {trials.map((trial) => (
          <Row
            key={trial.trialJobId}
            trial={trial}
            isBest={trial.trialJobId === best}
            took={trial.startTime === undefined ? "–" : duration((trial.endTime ?? now) - trial.startTime)}
            started={trial.startTime === undefined ? "–" : ago(trial.startTime, now)}
          />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  trial: Trial;
  isBest: boolean;
  took: string;
  started: string;
}

/** Drawn again only when something in it is new: there are hundreds, and the time passes for all of them. */
class Row extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    const { trial, isBest, took, started } = this.props;
    return trial !== next.trial || isBest !== next.isBest || took !== next.took || started !== next.started;
  }

  override render({ trial, isBest, took, started }: RowProps) {
    const isFinal = trial.finalValue !== undefined;
    const parameters = parametersOf(trial)
      .map(([name, value]) => `${name}=${parameter(value)}`)
      .join("  ");
    return (
      <tr class={isBest ? "is-best" : ""}>
        <td class="number">{trial.sequenceId}</td>
        <td>
          <code title={trial.job ?? ""}>{trial.trialJobId}</code>
        </td>
        <td title={trial.reason?.sentence ?? ""}>
          <Status status={trial.status} />
        </td>
        <td class={isFinal ? "number" : "number so-far"} title={isFinal ? "final" : "last intermediate result"}>
          {metric(shownValue(trial))}
        </td>
        <td class="number wide">{trial.intermediateCount}</td>
        <td class="number wide">{took}</td>
        <td class="wide" title={trial.startTime === undefined ? "" : absolute(trial.startTime)}>
          {started}
        </td>
        <td class="wide rest" title={parameters}>
          {parameters}
        </td>
      </tr>
    );
  }
}
