// Every page's frame: what experiment this is, how it is doing, and whether what is shown is fresh.

import { useEffect, useState } from "preact/hooks";
import { statusWord } from "./format";
import { listen, type Link } from "./live";
import { apply, progress, type Model } from "./model";
import { Overview } from "./overview";

const LINKS: Record<Link, string> = {
  connecting: "Connecting",
  live: "Live",
  lost: "No answer, trying again",
  refused: "Signed out",
};

export function App() {
  const [model, setModel] = useState<Model | null>(null);
  const [link, setLink] = useState<Link>("connecting");
  const now = useNow(model?.experiment.endTime === null);

  useEffect(() => {
    let known: Model | null = null;
    return listen((change) => {
      known = apply(known, change, Date.now());
      if (!change.more) setModel(known);
    }, setLink);
  }, []);
  useEffect(() => {
    document.title = model ? title(model) : "nni";
  }, [model]);

  return (
    <>
      <header>
        <h1>{model ? (model.experiment.name ?? model.experiment.id) : " "}</h1>
        {model && <Status status={model.experiment.status} />}
        <p class="about">
          {model && (
            <>
              <span title="Experiment">{model.experiment.id}</span>
              <span title="Platform">{model.experiment.platform}</span>
              {model.experiment.tuner && <span title="Tuner">{model.experiment.tuner}</span>}
            </>
          )}
        </p>
        <p class={`link ${link}`} role="status">
          {LINKS[link]}
        </p>
      </header>
      {link === "refused" && (
        <p class="notice bad">
          This browser is not signed in any more. <code>nnictl webui url {model?.experiment.id}</code> prints the link.
        </p>
      )}
      {link === "lost" && (
        <p class="notice bad">
          The manager does not answer{model && "; what you see is the last that it said"}. It may have ended:{" "}
          <code>nnictl experiment status {model?.experiment.id}</code> tells.
        </p>
      )}
      <main>{model ? <Overview model={model} now={now} /> : link === "connecting" && <p class="empty">Loading</p>}</main>
    </>
  );
}

/** An experiment's or a trial's status: a coloured mark and a word. */
export function Status({ status }: { status: string }) {
  return (
    <span class={`status ${status}`} title={status}>
      {statusWord(status)}
    </span>
  );
}

function title(model: Model): string {
  const { ended, of } = progress(model, Date.now());
  const { experiment } = model;
  return `${ended}${of === null ? "" : `/${of}`} ${statusWord(experiment.status)} · ${experiment.name ?? experiment.id}`;
}

/** The time, each second while it matters. */
function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, [isRunning]);
  return now;
}
