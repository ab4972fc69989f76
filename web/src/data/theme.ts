// Light or dark: as the system has it, or as the reader chose.

import { useEffect, useState } from "preact/hooks";

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
}

const NAMES: (keyof Palette)[] = [
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
  const palette = Object.fromEntries(NAMES.map((name) => [name, read(name)])) as unknown as Palette;
  probe.remove();
  return palette;
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

/** Colours for curves side by side that the colour-blind can tell apart (after Okabe and Ito), on light and on dark. */
export const CURVES = ["#0f7fc4", "#d9730d", "#00916e", "#b4549b", "#a08c00", "#3fa7d6", "#c8442b", "#6f6fd0"];
