// Opens the panels about the experiment, which are loaded then.

import type { ComponentProps } from "preact";
import { useState } from "preact/hooks";
import type { Model } from "../data/model";
import { useLater } from "./later";
import type { Panels } from "./panels";

export type Panel = "space" | "config" | "summary";
export const PANELS: readonly (readonly [key: Panel, text: string])[] = [
  ["space", "Search space"],
  ["config", "Config"],
  ["summary", "Summary"],
];

const load = async () => (await import("./panels")).Panels;

export function About({ model }: { model: Model }) {
  const [panel, setPanel] = useState<Panel | null>(null);
  const Loaded = useLater<ComponentProps<typeof Panels>>(load, panel !== null);
  return (
    <div class="actions">
      {PANELS.map(([key, text]) => (
        <button type="button" class="small" key={key} onClick={() => setPanel(key)}>
          {text}
        </button>
      ))}
      {panel !== null && Loaded && <Loaded model={model} panel={panel} choose={setPanel} onClose={() => setPanel(null)} />}
    </div>
  );
}
