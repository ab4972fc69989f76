// Charts over many trials at once: durations, the empirical distribution, a Pareto front.

import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import { waitsSince } from "../data/attempts";
import { capital, duration, metric, statusWord } from "../data/format";
import { primary, took, type Model, type Trial } from "../data/model";
import { go } from "../data/route";
import { front } from "./pareto";
import { axis, dots, isCrowd, Legend, Plot, stairs } from "./plot";
import { said, SIDE, spread } from "./scatter";

export function Durations({ trials, now, height }: { trials: readonly Trial[]; now: number; height: number }) {
  const places = useMemo(() => trials.filter((trial) => trial.startTime !== undefined), [trials]);
  const { data, unit } = useMemo(() => {
    const ran = places.map((trial) => took(trial, now) ?? 0);
    const waited = places.map((trial) => Math.max(0, (trial.startTime ?? 0) - waitsSince(trial)));
    const [name, size] = unitOf(ran.reduce((most, its) => Math.max(most, its), 0));
    const inUnits = (times: readonly number[]): number[] => times.map((time) => time / size);
    const table: uPlot.AlignedData = [places.map((trial) => trial.sequenceId), inUnits(ran), inUnits(waited)];
    return { data: table, unit: name };
  }, [places]);
  if (places.length === 0) {
    return <p class="empty">How long trials waited and ran is shown here, as soon as one has started.</p>;
  }
  return (
    <div>
      <Plot
        label={`Duration of ${places.length} trials by number.`}
        height={height}
        data={data}
        shape={`durations ${unit} ${isCrowd(places.length)}`}
        options={(palette) => ({
          scales: { x: { time: false, range: spread } },
          axes: [axis(palette, { label: "Trial number", isWhole: true }), axis(palette, { label: unit, size: SIDE })],
          series: [{}, dots(palette.running, places.length), dots(palette.waiting, places.length, 4)],
        })}
        tip={(series, place) => {
          const trial = places[place];
          if (!trial) return null;
          const what = series === 1 ? `ran ${duration(took(trial, now) ?? 0)}` : `waited ${duration((trial.startTime ?? 0) - waitsSince(trial))}`;
          return `${trial.trialJobId} ${what} (${statusWord(trial.status)})`;
        }}
        onPick={(_, place) => places[place] && go(`trial/${places[place].trialJobId}`)}
      />
      <Legend marks={[["running", "ran"], ["waiting", "waited before"]]} />
    </div>
  );
}

/** The unit that times up to so many milliseconds are read in. */
export function unitOf(most: number): readonly [name: string, size: number] {
  if (most < 180_000) return ["Seconds", 1000];
  return most < 5 * 3_600_000 ? ["Minutes", 60_000] : ["Hours", 3_600_000];
}

/** How large a share of the trials is at most so large; of two series when another experiment is compared. */
export function Distribution({
  values,
  other,
  height,
}: {
  values: readonly number[];
  other?: { name: string; values: readonly number[] } | undefined;
  height: number;
}) {
  const data = useMemo<uPlot.AlignedData>(() => steps(values, other?.values ?? []), [values, other]);
  return (
    <Plot
      label={`Empirical distribution of ${values.length} metrics.`}
      height={height}
      data={data}
      shape={`distribution ${other?.name}`}
      options={(palette) => {
        return {
          scales: { x: { time: false }, y: { range: [0, 1] } },
          axes: [axis(palette, { label: "Metric" }), axis(palette, { size: SIDE, values: (share) => `${Math.round(share * 100)} %` })],
          series: [{}, stairs(palette.accent, 2), stairs(palette.failed, 2)],
        };
      }}
      tip={(series, place) =>
        `${Math.round((data[series]?.[place] ?? 0) * 100)} % at most ${metric(data[0][place])}${series === 2 ? ` (${other?.name})` : ""}`
      }
    />
  );
}

function steps(mine: readonly number[], others: readonly number[]): uPlot.AlignedData {
  const all = [...mine.map((x) => ({ x, who: 0 })), ...others.map((x) => ({ x, who: 1 }))].sort((a, b) => a.x - b.x);
  const counts = [0, 0];
  const shares: (number | null)[][] = [[], []];
  for (const { who } of all) {
    counts[who] = (counts[who] ?? 0) + 1;
    shares[0]?.push(mine.length === 0 ? null : (counts[0] ?? 0) / mine.length);
    shares[1]?.push(others.length === 0 ? null : (counts[1] ?? 0) / others.length);
  }
  return [all.map(({ x }) => x), shares[0] ?? [], shares[1] ?? []];
}

interface ParetoProps {
  model: Model;
  trials: readonly Trial[];
  metricName: string;
  isLow: boolean;
  height: number;
}

export function Pareto({ model, trials, metricName, isLow, height }: ParetoProps) {
  const y = (trial: Trial): number | undefined => trial.metrics?.[metricName];
  const { data, places } = useMemo(() => {
    const kept = front(trials, (trial) => trial.finalValue, y, !model.experiment.maximize, isLow);
    const found = trials.filter((trial) => trial.finalValue !== undefined && y(trial) !== undefined);
    found.sort((a, b) => (a.finalValue ?? 0) - (b.finalValue ?? 0));
    const on = (its: boolean): (number | null)[] =>
      found.map((trial) => (kept.has(trial) === its ? (y(trial) ?? null) : null));
    const table: uPlot.AlignedData = [found.map((trial) => trial.finalValue ?? 0), on(false), on(true)];
    return { data: table, places: found };
  }, [trials, metricName, isLow]);
  return (
    <Plot
      label={`${metricName} over the ${primary(model)}, ${places.length} trials, with the Pareto front.`}
      height={height}
      data={data}
      shape={`pareto ${metricName} ${isLow} ${isCrowd(places.length)}`}
      options={(palette) => ({
        scales: { x: { time: false } },
        axes: [axis(palette, { label: capital(primary(model)) }), axis(palette, { label: metricName, size: SIDE })],
        series: [
          {},
          dots(palette.waiting, places.length, 4),
          { stroke: palette.failed, width: 1.5, spanGaps: true, points: { show: true, size: 7, fill: palette.failed } },
        ],
      })}
      tip={(_, place) => said(places[place])}
      onPick={(_, place) => places[place] && go(`trial/${places[place].trialJobId}`)}
    />
  );
}
