// The logs of a trial, by replica, stream and attempt.

import { isLive, type Model, type Trial } from "../data/model";
import { setQuery } from "../data/route";
import { Log } from "./log";
import { replicas } from "./pods";

const STREAMS = ["stdout", "stderr", "trial.log"];

export function TrialLogs({ trial, model, query }: { trial: Trial; model: Model; query: URLSearchParams }) {
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
