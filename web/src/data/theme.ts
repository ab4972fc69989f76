// Light or dark: as the system has it, or as the reader chose.

import { useEffect, useState } from "preact/hooks";
import { COLOURS, type Look } from "./looks";

export type Theme = "system" | "light" | "dark";
const KEY = "nni-theme";
const CHANGED = "nni:theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export function chosenTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function chooseTheme(theme: Theme): void {
  if (theme === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  showTheme();
  dispatchEvent(new Event(CHANGED));
}

export function showTheme(): void {
  document.documentElement.style.colorScheme = chosenTheme() === "system" ? "light dark" : chosenTheme();
}

export interface Palette {
  text: string;
  quiet: string;
  line: string;
  card: string;
  accent: string;
  running: string;
  waiting: string;
  succeeded: string;
  failed: string;
  stopped: string;
  /** For curves side by side. */
  curves: readonly string[];
}

const NAMES: Exclude<keyof Palette, "curves">[] = [
  "text",
  "quiet",
  "line",
  "card",
  "accent",
  "running",
  "waiting",
  "succeeded",
  "failed",
  "stopped",
];

function readPalette(): Palette {
  const probe = document.createElement("i");
  document.body.append(probe);
  const read = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const named = Object.fromEntries(NAMES.map((name) => [name, read(name)])) as unknown as Palette;
  const curves = Array.from({ length: COLOURS }, (_, place) => read(`curve-${place}`));
  probe.remove();
  return { ...named, curves };
}

/** The colour of a curve on a canvas. */
export function strokeOf({ colour }: Look, palette: Palette): string {
  return (colour === null ? undefined : palette.curves[colour]) ?? palette.quiet;
}

/** The colours that are in force, for what is painted on a canvas. */
export function usePalette(): Palette {
  const [palette, setPalette] = useState(readPalette);
  useEffect(() => {
    const read = (): void => setPalette(readPalette());
    addEventListener(CHANGED, read);
    dark.addEventListener("change", read);
    return () => {
      removeEventListener(CHANGED, read);
      dark.removeEventListener("change", read);
    };
  }, []);
  return palette;
}
