// The metric over each parameter alone.

import { useEffect, useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";
import { metric } from "../data/format";
import type { Model, Trial } from "../data/model";
import { go } from "../data/route";
import { parameterScale, type Scale } from "./axes";
import { axis, dots, isCrowd, Plot } from "./plot";
import { SIDE } from "./scatter";

interface Props {
  model: Model;
  trials: readonly Trial[];
  value: (trial: Trial) => number | undefined;
  parameters: readonly string[];
}

/** Dots in one chart; more could not be told apart, and would hold up the page. */
const MOST = 4000;
/** So many of the best are among them. */
const BEST = 1000;

export function Slices({ model, trials: all, value, parameters }: Props) {
  const drawn = useOneByOne(parameters.length);
  const trials = useMemo(() => thinned(all), [all]);
  return (
    <>
      {trials.length < all.length && (
        <p class="hint">
          {trials.length} of {all.length} trials are drawn: the best {BEST}, and some of the others at even distances.
        </p>
      )}
      <div class="slices">
      {parameters.map((name, place) => (
        <figure key={name}>
          <figcaption>{name}</figcaption>
          {place < drawn ? <Slice model={model} trials={trials} value={value} name={name} /> : <div class="plot slice" />}
        </figure>
      ))}
      </div>
    </>
  );
}

/** The best, and every so many of the others; the trials come with the best first. */
function thinned(trials: readonly Trial[]): readonly Trial[] {
  if (trials.length <= MOST) return trials;
  const step = (trials.length - BEST) / (MOST - BEST);
  return trials.slice(0, BEST).concat(Array.from({ length: MOST - BEST }, (_, place) => trials[BEST + Math.floor(place * step)] as Trial));
}

/** Counts up, one for each picture that the screen draws, so that many charts never hold up the page. */
function useOneByOne(all: number): number {
  const [count, setCount] = useState(1);
  useEffect(() => {
    if (count >= all) return undefined;
    const frame = requestAnimationFrame(() => setCount(count + 1));
    return () => cancelAnimationFrame(frame);
  }, [count, all]);
  return count;
}

function Slice({ model, trials, value, name }: Omit<Props, "parameters"> & { name: string }) {
  const scale = useMemo(() => parameterScale(name, trials, model.experiment.searchSpace), [trials, name]);
  const { data, places } = useMemo(() => points(trials, scale, value), [trials, scale]);
  return (
    <Plot
      label={`Metric over ${name}, ${places.length} trials.`}
      height={190}
      data={data}
      shape={`${name} ${scale.ticks.map((tick) => tick.text).join(" ")} ${isCrowd(places.length)}`}
      options={(palette) => ({
        scales: { x: { time: false, range: [-0.05, 1.05] } },
        axes: [placesAxis(palette, scale), axis(palette, { size: SIDE })],
        series: [{}, dots(palette.accent, places.length)],
      })}
      tip={(_, place) => {
        const trial = places[place];
        return trial ? `${trial.trialJobId}: ${metric(value(trial))} at ${scale.text(data[0][place] ?? 0)}` : null;
      }}
      onPick={(_, place) => places[place] && go(`trial/${places[place].trialJobId}`)}
    />
  );
}

export function placesAxis(palette: Parameters<typeof axis>[0], scale: Scale): uPlot.Axis {
  return {
    ...axis(palette),
    splits: () => scale.ticks.map((tick) => tick.at),
    values: (plot) => {
      // As many names as fit.
      const most = Math.max(1, Math.floor(plot.bbox.width / devicePixelRatio / 62));
      const step = Math.ceil(scale.ticks.length / most);
      return scale.ticks.map((tick, place) => (place % step === 0 ? short(tick.text) : ""));
    },
  };
}

const short = (text: string): string => (text.length > 11 ? `${text.slice(0, 10)}…` : text);

function points(
  trials: readonly Trial[],
  scale: Scale,
  value: (trial: Trial) => number | undefined,
): { data: uPlot.AlignedData; places: Trial[] } {
  const found: { at: number; y: number; trial: Trial }[] = [];
  for (const trial of trials) {
    const at = scale.at(trial);
    const y = value(trial);
    if (at === null || y === undefined) continue;
    // A step gets a little width, so that its trials do not hide one another.
    const aside = scale.hasSteps ? (((trial.sequenceId * 0.618034) % 1) - 0.5) * (0.5 / scale.ticks.length) : 0;
    found.push({ at: at + aside, y, trial });
  }
  found.sort((a, b) => a.at - b.at);
  return { data: [found.map(({ at }) => at), found.map(({ y }) => y)], places: found.map(({ trial }) => trial) };
}
