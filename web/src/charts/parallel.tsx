// Parallel coordinates: an axis for each parameter, a line for each trial, the best on top; drag along an axis to
// choose, click it to let go.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { metric, plural } from "../data/format";
import type { Model, Trial } from "../data/model";
import { usePalette } from "../data/theme";
import { brushed, type Brush } from "./brush";
import { isDark, parameterScale, scaleOf, shade, shades, type Scale } from "./axes";

interface Props {
  model: Model;
  /** With a value each, the best first. */
  trials: readonly Trial[];
  value: (trial: Trial) => number | undefined;
  parameters: readonly string[];
  height: number;
  onChosen?: (trials: readonly Trial[] | null) => void;
}

type Brushes = Readonly<Record<string, Brush>>;

const TOP = 34;
const BOTTOM = 12;
const SIDE = 56;
/** Lines beyond this number would only make a solid block. */
const MOST_LINES = 2000;
const AXIS_WIDTH = 96;
/** So near to an end of an axis means the end. */
const EDGE = 0.025;

export function Parallel({ model, trials, value, parameters, height, onChosen }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(holder);
  const palette = usePalette();
  const [brushes, setBrushes] = useState<Brushes>({});
  const scales = useMemo(
    () => [
      ...parameters.map((name) => parameterScale(name, trials, model.experiment.searchSpace)),
      scaleOf("Metric", trials, value),
    ],
    [trials, parameters.join("\n")],
  );
  const inner = Math.max(width, scales.length * AXIS_WIDTH);
  const x = (place: number): number => SIDE + (place * (inner - 2 * SIDE)) / Math.max(1, scales.length - 1);
  const y = (at: number): number => height - BOTTOM - at * (height - TOP - BOTTOM);
  const lines = useMemo(
    () => trials.slice(0, MOST_LINES).map((trial) => scales.map((scale) => scale.at(trial))),
    [trials, scales],
  );
  const isIn = (line: readonly (number | null)[]): boolean =>
    scales.every((scale, place) => {
      const brush = brushes[scale.name];
      const at = line[place];
      return !brush || (at !== null && at !== undefined && at >= brush[0] && at <= brush[1]);
    });
  const isBrushed = Object.keys(brushes).length > 0;
  const chosen = useMemo(() => (isBrushed ? trials.filter((_, place) => lines[place] && isIn(lines[place])) : null), [
    lines,
    brushes,
  ]);

  useEffect(() => onChosen?.(chosen), [chosen]);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !canvas.current || inner === 0) return;
    const ratio = devicePixelRatio;
    canvas.current.width = inner * ratio;
    canvas.current.height = height * ratio;
    context.scale(ratio, ratio);
    const dark = isDark(palette.card);
    context.lineWidth = lines.length > 500 ? 0.8 : 1.2;
    const draw = (line: readonly (number | null)[], colour: string, alpha: number): void => {
      context.strokeStyle = colour;
      context.globalAlpha = alpha;
      context.beginPath();
      let isOn = false;
      line.forEach((at, place) => {
        if (at === null) isOn = false;
        else if (isOn) context.lineTo(x(place), y(at));
        else {
          context.moveTo(x(place), y(at));
          isOn = true;
        }
      });
      context.stroke();
    };
    const alpha = Math.max(0.25, Math.min(0.9, 60 / lines.length));
    for (let place = lines.length - 1; place >= 0; place--) {
      const line = lines[place] as (number | null)[];
      const within = !isBrushed || isIn(line);
      if (within) draw(line, shade(1 - place / Math.max(1, lines.length), dark), isBrushed ? 0.9 : alpha);
      else draw(line, palette.quiet, 0.08);
    }
  }, [lines, brushes, inner, height, palette]);

  const names = parameters.length === 1 ? "1 parameter" : `${parameters.length} parameters`;
  return (
    <div class="parallel" ref={holder} tabIndex={0} role="group" aria-label="Parallel coordinates, scrolls sideways">
      <div style={{ width: `${inner}px`, height: `${height}px` }}>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`Parallel coordinates of ${names} and the metric, ${plural(lines.length, "trial")}`}
          style={{ width: `${inner}px`, height: `${height}px` }}
        />
        {scales.map((scale, place) => (
          <Axis
            key={scale.name}
            scale={scale}
            left={x(place)}
            room={scales.length < 2 ? inner : (inner - 2 * SIDE) / (scales.length - 1)}
            edge={place === 0 ? "first" : place === scales.length - 1 ? "last" : ""}
            y={y}
            height={height}
            brush={brushes[scale.name]}
            onBrush={(brush) => {
              const { [scale.name]: _, ...others } = brushes;
              setBrushes(brush ? { ...others, [scale.name]: brush } : others);
            }}
          />
        ))}
      </div>
      <p class="hint">
        worst <span class="shades" style={{ background: shades(isDark(palette.card)) }} /> best ·{" "}
        {trials.length > MOST_LINES && `The best ${MOST_LINES} are drawn. `}
        {chosen
          ? `${plural(chosen.length, "trial")} chosen${chosen[0] ? `, the best ${metric(value(chosen[0]))}` : ""}. `
          : "Drag along an axis to choose, or use the arrow keys on it; click it or press Escape to let go. "}
        {isBrushed && (
          <button type="button" class="plain" onClick={() => setBrushes({})}>
            Let go of all
          </button>
        )}
      </p>
    </div>
  );
}

interface AxisProps {
  scale: Scale;
  left: number;
  /** Pixels to the next axis. */
  room: number;
  edge: string;
  y: (at: number) => number;
  height: number;
  brush: Brush | undefined;
  onBrush: (brush: Brush | null) => void;
}

function Axis({ scale, left, room, edge, y, height, brush, onBrush }: AxisProps) {
  const start = useRef<number | null>(null);
  const at = (event: PointerEvent): number => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const share = 1 - (event.clientY - box.top) / box.height;
    return share > 1 - EDGE ? 1 : share < EDGE ? 0 : share;
  };
  const drag = (event: PointerEvent): void => {
    if (start.current === null) return;
    const now = at(event);
    if (Math.abs(now - start.current) > 0.015) onBrush([Math.min(now, start.current), Math.max(now, start.current)]);
  };
  return (
    <div class="axis" style={{ left: `${left}px` }}>
      <span class={`axis-name ${edge}`} title={scale.name} style={{ width: `${Math.round(room - 8)}px` }}>
        {scale.name}
      </span>
      <div
        class="axis-line"
        tabIndex={0}
        role="slider"
        aria-orientation="vertical"
        aria-label={`Choose along ${scale.name}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(50 * (brush ? brush[0] + brush[1] : 1))}
        aria-valuetext={brush ? `from ${Math.round(brush[0] * 100)} to ${Math.round(brush[1] * 100)} % of the axis` : "all"}
        onKeyDown={(event) => {
          const next = brushed(brush, event.key, event.shiftKey);
          if (next === undefined) return;
          event.preventDefault();
          onBrush(next);
        }}
        style={{ top: `${TOP}px`, height: `${height - TOP - BOTTOM}px` }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          start.current = at(event);
          onBrush(null);
        }}
        onPointerMove={drag}
        onPointerUp={() => (start.current = null)}
      >
        {brush && <div class="brush" style={{ bottom: `${brush[0] * 100}%`, height: `${(brush[1] - brush[0]) * 100}%` }} />}
      </div>
      {scale.ticks.map((tick) => (
        <span class="tick" key={tick.at} style={{ top: `${y(tick.at)}px` }} title={tick.text}>
          {tick.text}
        </span>
      ))}
    </div>
  );
}

/** The width of an element, as it changes. */
export function useWidth(of: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = of.current;
    if (!element) return undefined;
    setWidth(element.clientWidth);
    const resized = new ResizeObserver(() => setWidth(element.clientWidth));
    resized.observe(element);
    return () => resized.disconnect();
  }, []);
  return width;
}
