// What was found when everything that the experiment needs was looked at: at its start, and whenever somebody asks.

import { useState } from "preact/hooks";
import { plural } from "../data/format";
import { ask, get } from "../data/rest";
import { useCommand, useFetched, When } from "./small";

interface Finding {
  what: string;
  verdict: "ok" | "warning" | "failed";
  sentence: string;
}

interface Report {
  at: number | null;
  findings: Finding[];
}

const WORDS: Record<Finding["verdict"], string> = { failed: "Wrong", warning: "Doubtful", ok: "Right" };
/** What needs a look, the worst first. */
const ORDER: readonly Finding["verdict"][] = ["failed", "warning"];

export function Doctor({ now }: { now: number }) {
  const [fresh, setFresh] = useState<Report | null>(null);
  const { value, error } = useFetched("doctor", (signal) => get<Report>("doctor", signal));
  const { run, error: wrong, isBusy } = useCommand(() => undefined);
  const report = fresh ?? value;
  const look = async (): Promise<void> => {
    setFresh((await (await ask("doctor", { method: "POST" })).json()) as Report);
  };
  return (
    <section>
      <div class="bar">
        <h2>Doctor's report</h2>
        <button type="button" class="small" disabled={isBusy} onClick={() => run(look)}>
          {isBusy ? "Looking" : "Look again"}
        </button>
      </div>
      {(wrong ?? error) && <p class="notice bad">{wrong ?? error}</p>}
      {report && <Findings report={report} now={now} />}
    </section>
  );
}

function Findings({ report: { at, findings }, now }: { report: Report; now: number }) {
  if (at === null) return <p class="hint">Nothing was looked at yet.</p>;
  const right = findings.filter((one) => one.verdict === "ok");
  const bad = findings.length - right.length;
  return (
    <>
      <p class="hint">
        {bad === 0 ? `${plural(findings.length, "check")}, nothing wrong` : `${bad} of ${plural(findings.length, "check")} ${bad === 1 ? "needs" : "need"} a look`}; seen{" "}
        <When time={at} now={now} />
      </p>
      <List findings={ORDER.flatMap((verdict) => findings.filter((one) => one.verdict === verdict))} />
      {right.length > 0 && (
        <details>
          <summary>{bad === 0 ? "What was looked at" : `${plural(right.length, "check")} without a finding`}</summary>
          <List findings={right} />
        </details>
      )}
    </>
  );
}

function List({ findings }: { findings: readonly Finding[] }) {
  return (
    <ul class="findings">
      {findings.map((one) => (
        <li key={one.what + one.sentence} class={one.verdict}>
          <span class={`finding ${one.verdict}`} title={WORDS[one.verdict]}>
            <span class="unseen">{WORDS[one.verdict]}: </span>
            {one.what}
          </span>
          <span>{one.sentence}</span>
        </li>
      ))}
    </ul>
  );
}
