// Every page's frame: what experiment this is, how it is doing, and whether what is shown is fresh.

import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { duration, statusWord } from "./data/format";
import { Live, type Link } from "./data/live";
import type { Model, Sign } from "./data/model";
import { isPaused, progress } from "./data/progress";
import { loadAnew } from "./data/reload";
import { useRoute, type Route } from "./data/route";
import { chooseTheme, chosenTheme, type Theme } from "./data/theme";
import { Overview } from "./pages/overview";
import { Lights } from "./parts/lights";
import { Status } from "./parts/small";

export interface Props {
  model: Model;
  now: number;
  route: Route;
}

const LINKS: Record<Link, string> = {
  connecting: "Connecting",
  live: "Live",
  behind: "Behind, catching up",
  held: "Updates paused",
  lost: "No answer, trying again",
  refused: "Signed out",
};

const PAGES = [
  ["oview", "Overview"],
  ["detail", "Trials"],
  ["analysis", "Analysis"],
  ["cluster", "Cluster"],
  ["logs", "Logs"],
  ["experiment", "Experiments"],
] as const;

/** Pages beside the first are loaded when they are first opened. */
const LATER = new Map<string, () => Promise<ComponentType<Props>>>([
  ["detail", async () => (await import("./pages/trials")).Trials],
  ["trial", async () => (await import("./pages/trial")).Trial],
  ["analysis", async () => (await import("./pages/analysis")).Analysis],
  ["cluster", async () => (await import("./pages/cluster")).Cluster],
  ["logs", async () => (await import("./pages/logs")).Logs],
  ["experiment", async () => (await import("./pages/experiments")).Experiments],
]);

export function App() {
  const [model, setModel] = useState<Model | null>(null);
  const [link, setLink] = useState<Link>("connecting");
  const [isHeld, setHeld] = useState(false);
  const [theme, setTheme] = useState(chosenTheme);
  const live = useRef<Live | null>(null);
  const route = useRoute();
  const now = useNow(model !== null && !model.experiment.isOver);

  useEffect(() => {
    const its = new Live({ onModel: setModel, onLink: setLink });
    live.current = its;
    return () => its.stop();
  }, []);
  const title = model ? titleOf(model, route) : "nni";
  useEffect(() => {
    document.title = title;
  }, [title]);
  const isGone = isEnded(model, link);
  const hold = (): void => {
    live.current?.hold(!isHeld);
    setHeld(!isHeld);
  };

  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}>
        To the content
      </a>
      <nav class="rail" aria-label="Pages">
        {PAGES.map(([page, name]) => {
          const isHere = route.page === page || (page === "detail" && route.page === "trial");
          return (
            <a key={page} href={page} {...(isHere ? { "aria-current": "page" } : {})}>
              {name}
            </a>
          );
        })}
        <span class="gap in-rail" />
        <ThemeSwitch theme={theme} setTheme={setTheme} where="in-rail" />
      </nav>
      <div class="body">
        <header>
          <h1>{model ? (model.experiment.name ?? model.experiment.id) : " "}</h1>
          {model && <Status status={isPaused(model) ? "PAUSED" : model.experiment.status} />}
          {model && (
            <p class="about">
              <span title="Experiment">{model.experiment.id}</span>
              {model.experiment.tuner && <span title="Tuner">{model.experiment.tuner}</span>}
            </p>
          )}
          <span class="gap" />
          {model && <Lights health={model.health} platform={model.experiment.platform} now={now + model.ahead} />}
          <p class={`link ${isGone ? "ended" : link}`} role="status">
            {isGone ? "Ended" : LINKS[link]}
          </p>
          <button type="button" class="small" aria-pressed={isHeld} title="Keep what is shown from changing" onClick={hold}>
            {isHeld ? "Update" : "Hold"}
          </button>
          <ThemeSwitch theme={theme} setTheme={setTheme} where="in-header" />
        </header>
        <Notices model={model} link={link} now={now} />
        <main id="main" tabIndex={-1}>
          {model ? <Page model={model} now={now} route={route} /> : link === "connecting" && <p class="empty">Loading</p>}
        </main>
      </div>
    </div>
  );
}

const isUnseen = (sign: Sign): boolean => sign.part === "platform" && sign.state === "failed";

/** Whether the manager is gone because the experiment was stopped. */
const isEnded = (model: Model | null, link: Link): boolean => link === "lost" && model?.experiment.status === "STOPPED";

function Notices({ model, link, now }: { model: Model | null; link: Link; now: number }) {
  const id = model?.experiment.id ?? "";
  const dead = model?.health.find((sign) => sign.part === "tuner" && sign.state === "failed")?.sentence;
  const left = model?.experiment.leaving?.left;
  const told = [...(model?.experiment.errors ?? []), ...(dead && !model?.experiment.isOver ? [dead] : []), ...(left ? [left] : [])];
  const unseen = model?.experiment.isOver ? undefined : model?.health.find(isUnseen);
  if (link !== "refused" && link !== "lost" && told.length === 0 && !unseen) return null;
  return (
    <div role="region" aria-label="Notices" class="notices">
      {link === "refused" && (
        <p class="notice bad">
          This browser is not signed in any more. <code>nnictl webui url {id}</code> prints the link.
        </p>
      )}
      {isEnded(model, link) && (
        <p class="notice calm">
          The experiment has stopped, and its portal with it: what you see is how it ended. <code>nnictl resume {id}</code> opens it
          again, and goes on with what is left to do.
        </p>
      )}
      {link === "lost" && !isEnded(model, link) && (
        <p class="notice bad">
          The manager does not answer{model && "; what you see is the last that it said"}. It may have ended:{" "}
          <code>nnictl experiment status {id}</code> tells.
        </p>
      )}
      {model && unseen && (
        <p class="notice bad">
          {unseen.sentence?.replace(/[^.]$/, "$&.")} Nothing has been seen of the cluster for{" "}
          {duration(now + model.ahead - (unseen.heardAt ?? unseen.since ?? 0))}: what is shown of trials may be old.
        </p>
      )}
      {[...new Set(told)].map((sentence) => (
        <p class="notice bad" key={sentence}>
          {sentence}
        </p>
      ))}
    </div>
  );
}

function Page(props: Props) {
  const { page } = props.route;
  const { Later, isMissing } = useLater(page);
  if (page === "oview") return <Overview {...props} />;
  if (!LATER.has(page)) return <NoSuchPage page={page} />;
  if (Later) return <Later {...props} />;
  if (!isMissing) return <p class="empty">Loading</p>;
  return (
    <p class="empty">
      This page cannot be loaded: another release of the manager may be running by now.{" "}
      <button type="button" onClick={() => location.reload()}>
        Load anew
      </button>
    </p>
  );
}

function NoSuchPage({ page }: { page: string }) {
  return (
    <section>
      <h2>No such page</h2>
      <p class="empty">
        The portal has no page “{page}”. <a href="oview">Overview</a>
      </p>
    </section>
  );
}

/** The component of a page, whose files come when it is first opened. */
function useLater(page: string): { Later: ComponentType<Props> | null; isMissing: boolean } {
  const [loaded, setLoaded] = useState<{ page: string; component: ComponentType<Props> } | null>(null);
  const [missing, setMissing] = useState("");
  useEffect(() => {
    const leaving = new AbortController();
    LATER.get(page)?.().then(
      (component) => leaving.signal.aborted || setLoaded({ page, component }),
      async () => (await loadAnew(leaving.signal)) || leaving.signal.aborted || setMissing(page),
    );
    return () => leaving.abort();
  }, [page]);
  return { Later: loaded?.page === page ? loaded.component : null, isMissing: missing === page };
}

const THEMES: Record<Theme, { next: Theme; word: string }> = {
  system: { next: "light", word: "system" },
  light: { next: "dark", word: "light" },
  dark: { next: "system", word: "dark" },
};

interface ThemeProps {
  theme: Theme;
  setTheme: (theme: Theme) => void;
  /** There is one below the names of the pages, and another at the top where these stand in a row. */
  where: "in-rail" | "in-header";
}

function ThemeSwitch({ theme, setTheme, where }: ThemeProps) {
  const { next, word } = THEMES[theme];
  return (
    <button
      type="button"
      class={`small ${where}`}
      title={`Change to ${next}`}
      onClick={() => {
        chooseTheme(next);
        setTheme(next);
      }}
    >
      Theme: {word}
    </button>
  );
}

function titleOf(model: Model, route: Route): string {
  const name = model.experiment.name ?? model.experiment.id;
  if (route.page === "trial" && route.rest[0]) return `${route.rest[0]} · ${name}`;
  const { ended, of } = progress(model, Date.now());
  return `${ended}${of === null ? "" : `/${of}`} ${statusWord(model.experiment.status)} · ${name}`;
}

/** The time, each second while it matters and the page is seen. */
function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = window.setInterval(() => document.hidden || setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, [isRunning]);
  return now;
}
