// Opens the panels about the experiment, which are loaded then.

import type { ComponentProps, ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Model } from "../data/model";
import { loadAnew } from "../data/reload";
import type { Panels } from "./panels";

export type Panel = "space" | "config" | "summary";
export const PANELS: readonly (readonly [key: Panel, text: string])[] = [
  ["space", "Search space"],
  ["config", "Configuration"],
  ["summary", "Summary"],
];

export function About({ model }: { model: Model }) {
  const [panel, setPanel] = useState<Panel | null>(null);
  const [Loaded, setLoaded] = useState<ComponentType<ComponentProps<typeof Panels>> | null>(null);
  const leaving = useRef(new AbortController());
  useEffect(() => () => leaving.current.abort(), []);
  const open = (chosen: Panel): void => {
    setPanel(chosen);
    import("./panels").then(
      (its) => setLoaded(() => its.Panels),
      () => loadAnew(leaving.current.signal),
    );
  };
  return (
    <div class="actions">
      {PANELS.map(([key, text]) => (
        <button type="button" class="small" key={key} onClick={() => open(key)}>
          {text}
        </button>
      ))}
      {panel !== null && Loaded && <Loaded model={model} panel={panel} choose={setPanel} onClose={() => setPanel(null)} />}
    </div>
  );
}
