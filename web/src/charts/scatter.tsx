// The default metric of every trial, and the best so far.

import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import { capital, metric, statusWord } from "../data/format";
import { hasResult, isLive, primary, shownValue, type Model, type Trial } from "../data/model";
import { go } from "../data/route";
import { axis, dots, isCrowd, Legend, Plot, rings, stairs } from "./plot";

interface Props {
  model: Model;
  trials?: readonly Trial[];
  height: number;
  isLogarithmic?: boolean;
}

/** Room for the numbers beside a chart. */
export const SIDE = 62;

export function MetricScatter({ model, trials = model.trials, height, isLogarithmic = false }: Props) {
  const { data, places } = useMemo(
    () => columns(trials, model.experiment.maximize, isLogarithmic),
    [trials, model.revision, isLogarithmic],
  );
  const count = data[0].length;
  if (count === 0) {
    return (
      <p class="empty" style={{ height: `${height}px` }}>
        {isLogarithmic && trials.some((trial) => shownValue(trial) !== undefined)
          ? "No metric is above 0, so that none has a place on a logarithmic axis."
          : model.experiment.isOver
            ? "No trial reported a metric."
            : "A point for each trial appears here, as soon as one has reported a metric."}
      </p>
    );
  }
  const best = data[3]?.[count - 1];
  return (
    <>
      <Plot
        label={`${capital(primary(model))} of ${count} trials by number. Best so far ${metric(best ?? undefined)}.`}
        height={height}
        data={data}
        shape={`metric ${isLogarithmic} ${isCrowd(count)}`}
        options={(palette) => ({
          scales: { x: { time: false, range: spread }, y: isLogarithmic ? { distr: 3 } : { range: finals } },
          axes: [axis(palette, { label: "Trial number", isWhole: true }), axis(palette, { size: SIDE })],
          series: [
            {},
            dots(palette.succeeded, count),
            rings(palette.running),
            stairs(palette.text, 1.5),
            rings(palette.failed),
          ],
        })}
        tip={(series, place) => (series === 3 ? null : said(places[place]))}
        onPick={(_, place) => places[place] && go(`trial/${places[place].trialJobId}`)}
      />
      <Legend marks={MARKS} />
    </>
  );
}

const MARKS = [
  ["succeeded", "final"],
  ["running ring", "last so far"],
  ["failed ring", "last, no result"],
  ["text line", "best so far"],
] as const;

/** So many final results say where the interesting values are. */
const ENOUGH = 10;

/** Where final results are, once there are enough: what trials report at their beginning would make them a thin line. */
function finals(plot: uPlot, low: number, high: number): uPlot.Range.MinMax {
  let [from, to, count] = [Infinity, -Infinity, 0];
  for (const value of plot.data[1] ?? []) {
    if (value === null || value === undefined) continue;
    from = Math.min(from, value);
    to = Math.max(to, value);
    count += 1;
  }
  if (count < ENOUGH) [from, to] = [low, high];
  const room = (to - from) * 0.08 || Math.abs(to) * 0.1 || 1;
  return [from - room, to + room];
}

/** Numbers from first to last, with a little room; a single one in the middle. */
export function spread(_: uPlot, low: number, high: number): uPlot.Range.MinMax {
  const room = Math.max((high - low) * 0.02, 0.5);
  return [low - room, high + room];
}

export function said(trial: Trial | undefined): string | null {
  if (!trial) return null;
  const value = trial.finalValue ?? trial.lastValue;
  return `${trial.trialJobId}, number ${trial.sequenceId}: ${metric(value)} (${statusWord(trial.status)})`;
}

function columns(
  trials: readonly Trial[],
  maximize: boolean,
  isLogarithmic: boolean,
): { data: uPlot.AlignedData; places: Trial[] } {
  const places: Trial[] = [];
  const x: number[] = [];
  const final: (number | null)[] = [];
  const last: (number | null)[] = [];
  const broken: (number | null)[] = [];
  const best: (number | null)[] = [];
  let soFar: number | null = null;
  for (const trial of trials) {
    const value = trial?.finalValue ?? trial?.lastValue;
    if (value === undefined || (isLogarithmic && value <= 0)) continue;
    const isFinal = hasResult(trial);
    if (isFinal && (soFar === null || (maximize ? value > soFar : value < soFar))) soFar = value;
    places.push(trial);
    x.push(trial.sequenceId);
    final.push(isFinal ? value : null);
    last.push(isFinal || !isLive(trial) ? null : value);
    broken.push(isFinal || isLive(trial) ? null : value);
    best.push(soFar);
  }
  return { data: [x, final, last, best, broken], places };
}
