// The manager's own logs.

import { get, type Listing } from "../data/rest";
import { setQuery, type Route } from "../data/route";
import { Log } from "../parts/log";
import { useFetched } from "../parts/small";

const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"] as const;
const LEVEL = /^\S+ \S+ (DEBUG|INFO|WARNING|ERROR|CRITICAL) /;
const NAMES: Record<string, string> = { "nnimanager.log": "Manager", "dispatcher.log": "Tuner", "manager_stderr.log": "Manager's errors" };

export function Logs({ route: { query } }: { route: Route }) {
  const { value, error } = useFetched("logs", (signal) => get<Listing>("log-files", signal));
  const files = value?.files.filter((file) => !file.isDirectory) ?? [];
  const order = [...files].sort((a, b) => Number(b.name in NAMES) - Number(a.name in NAMES) || (a.name < b.name ? 1 : -1));
  const name = query.get("file") ?? order[0]?.name;
  const level = query.get("level") ?? "DEBUG";
  const least = LEVELS.indexOf(level as (typeof LEVELS)[number]);
  return (
    <section>
      <h2>Logs of the manager</h2>
      {error && <p class="notice bad">{error}</p>}
      {value && files.length === 0 && <p class="empty">Nothing has been logged yet.</p>}
      {name && (
        <>
          <div class="filter">
            <div class="choice" role="group" aria-label="File">
              {order.map((file) => (
                <button type="button" key={file.name} class="small" aria-pressed={file.name === name} title={file.name} onClick={() => setQuery({ file: file.name })}>
                  {NAMES[file.name] ?? file.name}
                </button>
              ))}
            </div>
            <label class="option">
              From level
              <select value={level} onChange={(event) => setQuery({ level: event.currentTarget.value === "DEBUG" ? null : event.currentTarget.value })}>
                {LEVELS.map((its) => (
                  <option key={its}>{its}</option>
                ))}
              </select>
            </label>
          </div>
          <Log
            path={`log-file/${encodeURIComponent(name)}`}
            isLive
            empty="Nothing has been logged yet."
            keep={(line) => levelOf(line) >= least}
            keepKey={level}
            height={620}
          />
        </>
      )}
    </section>
  );
}

/** Lines that are no entry of their own (a traceback) have the highest level: they are never left out. */
function levelOf(line: string): number {
  const found = LEVEL.exec(line)?.[1];
  if (found === undefined || found === "CRITICAL") return LEVELS.length;
  return LEVELS.indexOf(found as (typeof LEVELS)[number]);
}
