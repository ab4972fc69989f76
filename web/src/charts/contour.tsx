// The metric over two parameters: what lies between trials is guessed from those nearby.

import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { metric } from "../data/format";
import type { Model, Trial } from "../data/model";
import { usePalette } from "../data/theme";
import { isDark, parameterScale, shade, shades } from "./axes";
import { useWidth } from "./parallel";

interface Props {
  model: Model;
  /** With a value each, the best first. */
  trials: readonly Trial[];
  value: (trial: Trial) => number | undefined;
  x: string;
  y: string;
  height: number;
}

const CELLS = 40;
const LEFT = 62;
const BOTTOM = 24;
/** Trials that the guess is made from; more would not show. */
const MOST = 1500;

export function Contour({ model, trials, value, x, y, height }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(holder);
  const palette = usePalette();
  const space = model.experiment.searchSpace;
  const xs = useMemo(() => parameterScale(x, trials, space), [trials, x]);
  const ys = useMemo(() => parameterScale(y, trials, space), [trials, y]);
  const points = useMemo(() => {
    const step = Math.max(1, Math.ceil(trials.length / MOST));
    const found = trials.filter((_, place) => place % step === 0);
    return found.flatMap((trial, place) => {
      const [px, py] = [xs.at(trial), ys.at(trial)];
      return px === null || py === null ? [] : [{ x: px, y: py, share: 1 - place / Math.max(1, found.length - 1), trial }];
    });
  }, [trials, xs, ys]);
  const grid = useMemo(() => guess(points), [points]);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !canvas.current || width === 0) return;
    const ratio = devicePixelRatio;
    canvas.current.width = width * ratio;
    canvas.current.height = height * ratio;
    context.scale(ratio, ratio);
    const [w, h] = [width - LEFT - 8, height - BOTTOM - 8];
    const dark = isDark(palette.card);
    context.drawImage(picture(grid, dark), LEFT, 8, w, h);
    context.fillStyle = palette.card;
    context.strokeStyle = palette.text;
    context.lineWidth = 0.8;
    for (const point of points) {
      context.beginPath();
      context.arc(LEFT + point.x * w, 8 + h - point.y * h, points.length > 400 ? 1.2 : 2.2, 0, 7);
      context.fill();
      context.stroke();
    }
    context.fillStyle = palette.quiet;
    context.font = "12px system-ui, sans-serif";
    const words = Math.max(1, Math.floor(w / 70));
    xs.ticks.forEach((tick, place) => {
      if (place % Math.ceil(xs.ticks.length / words) !== 0) return;
      context.textAlign = tick.at === 0 ? "left" : tick.at === 1 ? "right" : "center";
      context.fillText(tick.text, LEFT + tick.at * w, height - 6, 90);
    });
    context.textAlign = "right";
    ys.ticks.forEach((tick) => context.fillText(tick.text, LEFT - 6, 12 + h - tick.at * h, LEFT - 8));
  }, [grid, width, height, palette]);
  const best = trials[0];
  return (
    <div ref={holder} style={{ height: `${height}px` }}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Rank of the metric over ${x} and ${y}, ${points.length} trials. Best ${metric(best && value(best))}.`}
        style={{ width: "100%", height: `${height}px` }}
      />
    </div>
  );
}

/** From the worst colour to the best. */
export function Shades() {
  return <span class="shades" style={{ background: shades(isDark(usePalette().card)) }} />;
}

/** The cells as a small picture; the browser makes it large and smooth. */
function picture(grid: readonly number[], dark: boolean): OffscreenCanvas {
  const small = new OffscreenCanvas(CELLS, CELLS);
  const context = small.getContext("2d");
  if (!context) return small;
  grid.forEach((share, place) => {
    context.fillStyle = shade(share, dark);
    context.fillRect(place % CELLS, CELLS - 1 - Math.floor(place / CELLS), 1, 1);
  });
  return small;
}

/** The rank at the middle of each cell, from 0 for worst to 1 for best: near trials weigh more. */
function guess(points: readonly { x: number; y: number; share: number }[]): number[] {
  const cells: number[] = [];
  if (points.length === 0) return cells;
  for (let place = 0; place < CELLS * CELLS; place++) {
    const x = ((place % CELLS) + 0.5) / CELLS;
    const y = (Math.floor(place / CELLS) + 0.5) / CELLS;
    let sum = 0;
    let weights = 0;
    for (const point of points) {
      const far = (point.x - x) ** 2 + (point.y - y) ** 2;
      const weight = 1 / (far * far + 1e-6);
      sum += weight * point.share;
      weights += weight;
    }
    cells.push(sum / weights);
  }
  return cells;
}
