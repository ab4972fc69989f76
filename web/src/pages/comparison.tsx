// This experiment beside others of this machine: how good they became and how soon, and in what they differ.

import { useMemo } from "preact/hooks";
import { axis, Plot, stairs, Swatch, useLooks } from "../charts/plot";
import { SIDE } from "../charts/scatter";
import { unitOf } from "../charts/spread";
import { bestCurves, differences, ownResults, type Results } from "../data/experiments";
import { duration, metric, parameter, plural } from "../data/format";
import type { Look } from "../data/looks";
import type { Model } from "../data/model";
import { get, type KnownExperiment } from "../data/rest";
import { setQuery } from "../data/route";
import { strokeOf } from "../data/theme";
import { Status, useFetched, When } from "../parts/small";
import { portal } from "./experiments";

/** Beside this one. */
const MOST = 7;
/** So many are chosen until the reader chooses. */
const FIRST = 4;

interface Props {
  model: Model;
  query: URLSearchParams;
  now: number;
}

export function Comparison({ model, query, now }: Props) {
  const { id } = model.experiment;
  const known = useFetched("experiments", (signal) => get<KnownExperiment[]>("experiments-info", signal));
  const profile = useFetched("profile", (signal) => get<{ params: Record<string, unknown> }>("experiment?hide=secrets", signal));
  const others = useMemo(() => (known.value ?? []).filter((its) => its.id !== id).reverse(), [known.value]);
  const asked = query.has("with") ? query.getAll("with") : others.slice(0, FIRST).map((its) => its.id);
  const chosen = others.filter((its) => asked.includes(its.id)).slice(0, MOST);
  const ids = chosen.map((its) => its.id);
  const told = useFetched(known.value ? ids.join(" ") : null, (signal) => Promise.all(ids.map((one) => resultsOf(one, signal))));
  const own = useMemo(() => ownResults(model, profile.value?.params ?? {}), [model, profile.value]);
  const found = useMemo(() => (told.value ?? []).flatMap((its) => ("values" in its && ids.includes(its.id) ? [its] : [])), [told.value, ids.join()]);
  const all = [own, ...found];
  const look = useLooks(all.map((one) => one.id));
  const choose = (one: string, isChosen: boolean): void => setQuery({ with: isChosen ? [...ids, one] : nothingElse(ids.filter((its) => its !== one)) });
  if (known.error) return <p class="notice bad">{known.error}</p>;
  if (!known.value) return <p class="empty">Loading</p>;
  const wrong = (told.value ?? []).flatMap((its) => ("problem" in its ? [its.problem] : []));
  return (
    <>
      <p class="hint">
        {others.length === 0
          ? "This machine knows of no other experiment yet; they appear here as soon as there is one."
          : `Choose up to ${MOST} other experiments of this machine.`}
      </p>
      {wrong.map((sentence) => (
        <p class="notice bad" key={sentence}>
          {sentence}
        </p>
      ))}
      <div class="table tall" tabIndex={0} role="region" aria-label="Experiments to compare">
        <table class="files">
          <thead>
            <tr>
              <th scope="col">
                <span class="unseen">Compared</span>
              </th>
              <th scope="col">Experiment</th>
              <th scope="col">State</th>
              <th scope="col" class="number">Best</th>
              <th scope="col" class="number">Trials</th>
              <th scope="col" class="number">Results</th>
              <th scope="col" class="number">Time to best</th>
              <th scope="col">Started</th>
            </tr>
          </thead>
          <tbody>
            <Row results={own} look={look(own.id)} name={nameOf(own)} state={model.experiment.status} best={own.bestSoFar.at(-1)?.[2]} started={model.experiment.startTime} now={now} isThis />
            {others.map((its) => {
              const results = found.find((one) => one.id === its.id);
              return (
                <Row
                  key={its.id}
                  results={results}
                  look={results ? look(its.id) : null}
                  name={its.experimentName || its.id}
                  address={its.isAlive ? portal(its) : undefined}
                  state={its.status}
                  best={its.best ?? results?.bestSoFar.at(-1)?.[2]}
                  started={its.startTime === "N/A" ? null : its.startTime}
                  now={now}
                  isChosen={ids.includes(its.id)}
                  isFull={ids.length >= MOST}
                  choose={(isChosen) => choose(its.id, isChosen)}
                />
              );
            })}
          </tbody>
        </table>
      </div>
      {all.some((one) => one.maximize !== own.maximize) && (
        <p class="hint">Not all of them are after the same: some look for the highest value, others for the lowest.</p>
      )}
      <h2>Best so far</h2>
      <BestCurves all={all} look={look} infos={known.value} query={query} now={now} />
      <h2>Parameters of the best</h2>
      <SideBySide all={all} look={look} label="Parameters of the best" lines={parameterLines(all)} empty="None has a result yet." />
      <h2>Differences of configuration</h2>
      <SideBySide
        all={all}
        look={look}
        label="Differences of configuration"
        lines={differences(all.map((one) => one.config))}
        empty={all.length < 2 ? "Choose another experiment." : "They are configured alike."}
      />
    </>
  );
}

/** An address that says that none was chosen, which is not the same as one that says nothing. */
const nothingElse = (ids: readonly string[]): readonly string[] => (ids.length === 0 ? [""] : ids);

const nameOf = (one: Results): string => one.experimentName || one.id;

/** What came of an experiment, or why that is not known. */
async function resultsOf(id: string, signal: AbortSignal): Promise<Results | { problem: string }> {
  try {
    return await get<Results>(`experiment-results/${id}`, signal);
  } catch (reason) {
    if (signal.aborted) throw reason;
    return { problem: reason instanceof Error ? reason.message : String(reason) };
  }
}

interface RowProps {
  results: Results | undefined;
  /** Of its curve; null where there is none. */
  look: Look | null;
  name: string;
  address?: string | undefined;
  state: string;
  best: number | undefined;
  started: number | null;
  now: number;
  isThis?: boolean;
  isChosen?: boolean;
  isFull?: boolean;
  choose?: (isChosen: boolean) => void;
}

function Row({ results, look, name, address, state, best, started, now, isThis = false, isChosen = false, isFull = false, choose }: RowProps) {
  const time = results?.bestSoFar.at(-1)?.[0];
  return (
    <tr class={isThis ? "is-best" : ""}>
      <td>
        <input
          type="checkbox"
          aria-label={`Compare with ${name}`}
          checked={isThis || isChosen}
          disabled={isThis || (isFull && !isChosen)}
          onChange={(event) => choose?.(event.currentTarget.checked)}
        />
      </td>
      <td title={name}>
        {look && <Swatch look={look} />}
        {address ? <a href={address}>{name}</a> : name}
        {isThis && <span class="hint"> · this one</span>}
      </td>
      <td>
        <Status status={state} />
      </td>
      <td class="number">{metric(best)}</td>
      <td class="number">{results?.trialNumber ?? "–"}</td>
      <td class="number">{results?.values.length ?? "–"}</td>
      <td class="number">{time === undefined ? "–" : duration(time)}</td>
      <td>
        <When time={started ?? undefined} now={now} />
      </td>
    </tr>
  );
}

interface BestCurvesProps {
  all: readonly Results[];
  look: (id: string) => Look;
  infos: readonly KnownExperiment[];
  query: URLSearchParams;
  now: number;
}

function BestCurves({ all, look, infos, query, now }: BestCurvesProps) {
  const by = query.get("by") === "time" ? "time" : "number";
  const shown = all.filter((one) => one.values.length > 0);
  const ends = shown.map((one) => (by === "number" ? one.values.length : Math.max(one.bestSoFar.at(-1)?.[0] ?? 0, tookOf(one.id, infos, now))));
  const [unit, size] = by === "number" ? ["Results", 1] : unitOf(Math.max(0, ...ends));
  const [x, ...ys] = bestCurves(shown, by, ends);
  if (shown.length === 0) return <p class="empty">A curve for each experiment appears here, as soon as one has a result.</p>;
  return (
    <>
      <div class="choice" role="group" aria-label="Best so far by">
        {(["number", "time"] as const).map((its) => (
          <button type="button" key={its} class="small" aria-pressed={its === by} onClick={() => setQuery({ by: its === "number" ? null : its })}>
            {its === "number" ? "By results" : "By time"}
          </button>
        ))}
      </div>
      <Plot
        label={`Best value so far of ${plural(shown.length, "experiment")}.`}
        height={300}
        data={[x.map((step) => step / size), ...ys]}
        shape={`best ${by} ${unit} ${shown.map((one) => one.id).join(" ")}`}
        options={(palette) => ({
          scales: { x: { time: false } },
          axes: [axis(palette, { label: unit, isWhole: by === "number" }), axis(palette, { size: SIDE })],
          series: [
            {},
            ...shown.map((one) => {
              const its = look(one.id);
              return { ...stairs(strokeOf(its, palette), one === all[0] ? 2.5 : 1.5), dash: [...its.dash] };
            }),
          ],
        })}
        tip={(series, place) => {
          const one = shown[series - 1];
          return one ? `${nameOf(one)}: ${metric(ys[series - 1]?.[place] ?? undefined)}` : null;
        }}
      />
    </>
  );
}

function tookOf(id: string, infos: readonly KnownExperiment[], now: number): number {
  const its = infos.find((one) => one.id === id);
  if (!its || its.startTime === "N/A") return 0;
  return (its.endTime === "N/A" ? (its.isAlive ? now : its.startTime) : its.endTime) - its.startTime;
}

function parameterLines(all: readonly Results[]): [name: string, values: (string | null)[]][] {
  const names = new Set(all.flatMap((one) => Object.keys(one.bestParameters)));
  return [...names].map((name) => [name, all.map((one) => (name in one.bestParameters ? parameter(one.bestParameters[name]) : null))]);
}

interface SideBySideProps {
  all: readonly Results[];
  look: (id: string) => Look;
  label: string;
  lines: readonly [name: string, values: (string | null)[]][];
  empty: string;
}

function SideBySide({ all, look, label, lines, empty }: SideBySideProps) {
  if (lines.length === 0) return <p class="empty">{empty}</p>;
  return (
    <div class="table" tabIndex={0} role="region" aria-label={label}>
      <table class="compare">
        <thead>
          <tr>
            <th scope="col">Name</th>
            {all.map((one) => (
              <th scope="col" key={one.id} class="number">
                <Swatch look={look(one.id)} />
                {nameOf(one)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {lines.map(([name, values]) => (
            <tr key={name} class={new Set(values).size > 1 ? "differs" : ""}>
              <th scope="row">{name}</th>
              {values.map((value, place) => (
                <td key={all[place]?.id} class="number" title={value ?? "not given"}>
                  {value ?? "–"}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
