// Intermediate results of some trials, one curve for each; they grow as the trials report.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { metric, plural } from "../data/format";
import { isLive, type Trial } from "../data/model";
import { curves, type Curve } from "../data/rest";
import { go } from "../data/route";
import { MOST_LOOKS, type Look } from "../data/looks";
import { strokeOf, type Palette } from "../data/theme";
import { axis, Plot, Swatch, useLooks } from "./plot";
import { SIDE } from "./scatter";
import { useSteady } from "./steady";

interface Props {
  trials: readonly Trial[];
  height: number;
  /** The trial whose curve is thicker. */
  best?: string | undefined;
  empty: string;
}

export function IntermediateCurves({ trials, height, best, empty }: Props) {
  const known = useSteady(useCurves(trials), 100);
  const [single, setSingle] = useState<string | null>(null);
  const shown = trials.filter((trial) => (known.get(trial.trialJobId)?.sequence.length ?? 0) > 0);
  const data = useMemo(() => align(shown.map((trial) => known.get(trial.trialJobId) as Curve)), [known, ids(shown)]);
  const look = useLooks(shown.map((trial) => trial.trialJobId));
  if (shown.length === 0) {
    return (
      <p class="empty" style={{ height: `${height}px` }}>
        {empty}
      </p>
    );
  }
  return (
    <>
      <Plot
        label={`Intermediate results of ${plural(shown.length, "trial")}, up to ${plural(data[0].length, "report")}.`}
        height={height}
        data={data}
        shape={`${ids(shown)} ${best}`}
        options={(palette) => ({
          scales: { x: { time: false } },
          axes: [axis(palette, { label: "Report", isWhole: true }), axis(palette, { size: SIDE })],
          series: [{}, ...shown.map((trial) => line(trial, look(trial.trialJobId), palette, trial.trialJobId === best))],
        })}
        tip={(series, place) => {
          const trial = shown[series - 1];
          return trial ? `${trial.trialJobId}: ${metric(data[series]?.[place] ?? undefined)} at report ${place}` : null;
        }}
        single={Math.max(0, shown.findIndex((trial) => trial.trialJobId === single) + 1) || null}
        onPick={(series) => shown[series - 1] && go(`trial/${shown[series - 1]?.trialJobId}`)}
      />
      <ul class="legend" aria-label="Curves">
        {shown.map((trial) => (
          <li
            key={trial.trialJobId}
            onMouseEnter={() => setSingle(trial.trialJobId)}
            onMouseLeave={() => setSingle(null)}
            onFocusIn={() => setSingle(trial.trialJobId)}
            onFocusOut={() => setSingle(null)}
          >
            <Swatch look={look(trial.trialJobId)} />
            <a href={`trial/${trial.trialJobId}`}>
              <code>{trial.trialJobId}</code>
            </a>
            {trial.trialJobId === best && " best"}
          </li>
        ))}
      </ul>
      {shown.length > MOST_LOOKS && (
        <p class="hint">
          {MOST_LOOKS} curves have a look of their own, the other {shown.length - MOST_LOOKS} are grey: rest on a name to single its curve out.
        </p>
      )}
    </>
  );
}

const ids = (trials: readonly Trial[]): string => trials.map((trial) => trial.trialJobId).join(" ");

function line(trial: Trial, look: Look, palette: Palette, isBest: boolean): uPlot.Series {
  const stroke = strokeOf(look, palette);
  return { stroke, dash: [...look.dash], width: isBest ? 2.5 : 1.5, spanGaps: true, points: { show: trial.intermediateCount < 3, size: 5, fill: stroke } };
}

/** Curves over common steps; a step that a curve has not reached is empty. */
function align(found: readonly Curve[]): uPlot.AlignedData {
  const longest = Math.max(0, ...found.map((curve) => (curve.sequence[curve.sequence.length - 1] ?? -1) + 1));
  const x = Array.from({ length: longest }, (_, place) => place);
  const ys = found.map((curve) => {
    const y = new Array<number | null>(longest).fill(null);
    curve.sequence.forEach((step, place) => (y[step] = curve.value[place] ?? null));
    return y;
  });
  return [x, ...ys];
}

/** Fetches the curves of the given trials once, and what they report afterwards as it comes. */
export function useCurves(trials: readonly Trial[]): ReadonlyMap<string, Curve> {
  const [known, setKnown] = useState<ReadonlyMap<string, Curve>>(new Map());
  const wanted = useRef(new Map<string, number>());
  const isAsking = useRef(false);
  const aborting = useRef(new AbortController());

  useEffect(() => () => aborting.current.abort(), []);
  useEffect(() => {
    wanted.current = new Map(trials.map((trial) => [trial.trialJobId, trial.intermediateCount]));
    void ask();
  }, [trials.map((trial) => `${trial.trialJobId}:${trial.intermediateCount}`).join(" ")]);

  const kept = useRef(known);
  async function ask(): Promise<void> {
    if (isAsking.current) return;
    isAsking.current = true;
    try {
      for (;;) {
        const behind = [...wanted.current].filter(([id, count]) => (kept.current.get(id)?.sequence.length ?? 0) < count);
        if (behind.length === 0) return;
        const more = await fetchMore(behind.map(([id]) => id), kept.current, aborting.current.signal);
        // What was asked for and did not come will not come: it is not asked for again.
        for (const [id] of behind) if (!more.has(id)) wanted.current.delete(id);
        kept.current = new Map([...kept.current, ...more]);
        setKnown(kept.current);
      }
    } catch {
      // told by the page's head; the next report asks again
    } finally {
      isAsking.current = false;
    }
  }
  return known;
}

const AT_ONCE = 100;

async function fetchMore(
  ids: readonly string[],
  known: ReadonlyMap<string, Curve>,
  signal: AbortSignal,
): Promise<Map<string, Curve>> {
  const found = new Map<string, Curve>();
  const fresh = ids.filter((id) => !known.has(id)).slice(0, AT_ONCE);
  if (fresh.length > 0) {
    for (const [id, curve] of await curves(fresh, 0, signal)) found.set(id, curve);
    return found;
  }
  const asked = ids.slice(0, AT_ONCE);
  const since = Math.min(...asked.map((id) => next(known.get(id))));
  for (const [id, more] of await curves(asked, since, signal)) {
    const before = known.get(id);
    const from = next(before);
    const places = more.sequence.map((_, place) => place).filter((place) => (more.sequence[place] ?? 0) >= from);
    if (places.length === 0) continue;
    found.set(id, {
      sequence: [...(before?.sequence ?? []), ...places.map((place) => more.sequence[place] as number)],
      value: [...(before?.value ?? []), ...places.map((place) => more.value[place] ?? null)],
    });
  }
  return found;
}

const next = (curve: Curve | undefined): number => (curve?.sequence[curve.sequence.length - 1] ?? -1) + 1;

/** The trials whose curves a small chart shows: those that run, the newest first, and the best. */
export function worthShowing(trials: readonly Trial[], best: Trial | null, most: number): Trial[] {
  const found: Trial[] = [];
  for (let place = trials.length - 1; place >= 0 && found.length < most; place--) {
    const trial = trials[place];
    if (trial && isLive(trial) && trial.intermediateCount > 0) found.push(trial);
  }
  if (best && best.intermediateCount > 0 && !found.includes(best)) found.push(best);
  return found;
}
