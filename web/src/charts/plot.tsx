// A uPlot chart in the page: as wide as its place, in the colours in force, with a tip at the nearest point.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { metric } from "../data/format";
import { lookOf, MOST_LOOKS, placesOf, type Look } from "../data/looks";
import { usePalette, type Palette } from "../data/theme";

export interface PlotProps {
  /** What a screen reader says instead. */
  label: string;
  height: number;
  data: uPlot.AlignedData;
  /** The chart is made anew when this changes: number and looks of its series, names of its axes. */
  shape: string;
  options: (palette: Palette) => Pick<uPlot.Options, "series"> & Partial<uPlot.Options>;
  /** What is said of a point; null for points that say nothing. */
  tip?: (series: number, place: number) => string | null;
  onPick?: (series: number, place: number) => void;
  /** The series that stands out from the others; null for none. */
  single?: number | null;
}

const REACH = 20;

export function Plot(props: PlotProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const palette = usePalette();

  useLayoutEffect(() => {
    const place = holder.current;
    if (!place) return undefined;
    const options: uPlot.Options = {
      width: Math.max(place.clientWidth, 100),
      height: latest.current.height,
      legend: { show: false },
      padding: [8, 18, 0, 0],
      focus: { alpha: 0.2 },
      cursor: { points: { show: false }, drag: { x: false, y: false }, x: false, y: false },
      ...latest.current.options(palette),
    };
    const made = new uPlot(options, latest.current.data, place);
    plot.current = made;
    const forget = pointing(made, latest);
    const resized = new ResizeObserver(() => {
      if (place.clientWidth > 0) made.setSize({ width: place.clientWidth, height: latest.current.height });
    });
    resized.observe(place);
    return () => {
      resized.disconnect();
      forget();
      made.destroy();
      plot.current = null;
    };
  }, [props.shape, palette, props.height]);

  useEffect(() => {
    if (plot.current && plot.current.data !== props.data) plot.current.setData(props.data);
  }, [props.data]);

  const single = props.single ?? null;
  useEffect(() => {
    // uPlot's types leave out that null takes the focus back.
    plot.current?.setSeries(single as number, { focus: true });
  }, [single]);

  return <div class="plot" ref={holder} role="img" aria-label={props.label} style={{ height: `${props.height}px` }} />;
}

/** Shows a tip at the point that is nearest to the pointer, and tells of clicks on it. */
function pointing(plot: uPlot, latest: { current: PlotProps }): () => void {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  plot.over.append(tip);
  const find = (event: MouseEvent): [number, number] | null => nearest(plot, event.offsetX, event.offsetY, latest.current);
  const move = (event: MouseEvent): void => {
    const found = event.target === plot.over ? find(event) : null;
    const text = found && latest.current.tip?.(...found);
    tip.hidden = !text;
    plot.over.style.cursor = text && latest.current.onPick ? "pointer" : "default";
    if (!text) return;
    tip.textContent = text;
    tip.classList.toggle("left", event.offsetX > plot.over.clientWidth / 2);
    tip.style.translate = `${event.offsetX}px ${event.offsetY}px`;
  };
  const leave = (): void => void (tip.hidden = true);
  const click = (event: MouseEvent): void => {
    const found = find(event);
    if (found && latest.current.tip?.(...found)) latest.current.onPick?.(...found);
  };
  plot.over.addEventListener("mousemove", move);
  plot.over.addEventListener("mouseleave", leave);
  plot.over.addEventListener("click", click);
  return () => {
    plot.over.removeEventListener("mousemove", move);
    plot.over.removeEventListener("mouseleave", leave);
    plot.over.removeEventListener("click", click);
  };
}

function nearest(plot: uPlot, left: number, top: number, { tip }: PlotProps): [number, number] | null {
  const xs = plot.data[0];
  let best: [number, number] | null = null;
  let least = REACH * REACH;
  const from = plot.posToVal(left - REACH, "x");
  const to = plot.posToVal(left + REACH, "x");
  for (let place = 0; place < xs.length; place++) {
    const x = xs[place];
    if (x === undefined || x < from || x > to) continue;
    const dx = plot.valToPos(x, "x") - left;
    for (let series = 1; series < plot.data.length; series++) {
      const y = plot.data[series]?.[place];
      if (y === null || y === undefined) continue;
      const dy = plot.valToPos(y, plot.series[series]?.scale ?? "y") - top;
      const far = dx * dx + dy * dy;
      if (far < least && tip?.(series, place)) {
        least = far;
        best = [series, place];
      }
    }
  }
  return best;
}

/** The looks of curves, each of which keeps its own for as long as it is shown. */
export function useLooks(ids: readonly string[]): (id: string) => Look {
  const places = useRef<ReadonlyMap<string, number>>(new Map());
  const now = placesOf(ids, places.current);
  places.current = now;
  return (id) => lookOf(now.get(id) ?? MOST_LOOKS);
}

/** How a curve looks, beside its name. */
export function Swatch({ look: { colour, dash } }: { look: Look }) {
  return (
    <svg class="swatch" viewBox="0 0 26 6" aria-hidden="true">
      <line x2={26} y1={3} y2={3} stroke={colour === null ? "var(--quiet)" : `var(--curve-${colour})`} stroke-width={2.5} stroke-dasharray={dash.join(" ")} />
    </svg>
  );
}

/** What the marks of a chart mean. */
export function Legend({ marks }: { marks: readonly (readonly [look: string, word: string])[] }) {
  return (
    <ul class="legend">
      {marks.map(([look, word]) => (
        <li key={word}>
          <span class={`mark ${look}`} />
          {word}
        </li>
      ))}
    </ul>
  );
}

/** Whether there are so many dots that they look otherwise: a chart is made anew then. */
export const isCrowd = (count: number): boolean => count > CROWD;

/** Dots that are not filled: what is not final. */
export function rings(colour: string): uPlot.Series {
  return { stroke: colour, paths: () => null, points: { show: true, size: 6, width: 1.5, fill: "transparent", stroke: colour } };
}

const BELOW = 24;
const FONT = "12px system-ui, sans-serif";

export interface AxisLooks {
  label?: string;
  /** Room for the numbers: beside the chart, or below it where none is given. */
  size?: number;
  values?: (split: number) => string;
  /** Whether only whole numbers mean something. */
  isWhole?: boolean;
}

/** Distances between the numbers at an axis of whole ones. */
const WHOLE = [1, 10, 100, 1000, 10_000, 100_000].flatMap((its) => [its, 2 * its, 5 * its]);

export function axis(palette: Palette, { label, size, values = metric, isWhole = false }: AxisLooks = {}): uPlot.Axis {
  return {
    stroke: palette.quiet,
    font: FONT,
    labelFont: FONT,
    labelSize: 18,
    gap: 4,
    grid: { stroke: palette.line, width: 1 },
    ticks: { show: false },
    values: (_, splits) => splits.map((split) => (split === null ? "" : values(split))),
    ...(label === undefined ? {} : { label }),
    ...(isWhole ? { incrs: WHOLE } : {}),
    size: size ?? BELOW,
  };
}

/** A line that goes by steps. */
export function stairs(stroke: string, width: number): uPlot.Series {
  const paths = uPlot.paths.stepped?.({ align: 1 });
  return { stroke, width, points: { show: false }, ...(paths ? { paths } : {}) };
}

/** So many dots are drawn smaller and let one another through. */
const CROWD = 2000;

/** Dots without a line between them; `count` of them, where there may be many. */
export function dots(colour: string, count = 0, most = 5): uPlot.Series {
  const size = count > CROWD ? 3 : most;
  return {
    alpha: count > CROWD ? 0.4 : 1, 
    stroke: colour,
    fill: colour,
    paths: () => null,
    points: { show: true, size, width: 0, fill: colour },
  };
}
