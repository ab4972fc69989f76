// What the parameters do to the metric.

import type { ComponentProps } from "preact";
import { useMemo, useState } from "preact/hooks";
import { Contour, Shades } from "../charts/contour";
import { Parallel } from "../charts/parallel";
import { Slices } from "../charts/slices";
import { Distribution, Pareto } from "../charts/spread";
import { useSteady } from "../charts/steady";
import { metric, plural } from "../data/format";
import { ranked, type Model, type Trial } from "../data/model";
import { get, type KnownExperiment } from "../data/rest";
import { setQuery, type Route } from "../data/route";
import { useLater } from "../parts/later";
import { Fact, Tabs, useFetched } from "../parts/small";
import type { Comparison } from "./comparison";

const PACE = 3000;
const MOST_PARALLEL = 500;

export function Analysis({ model, now, route: { query } }: { model: Model; now: number; route: Route }) {
  const slow = useSteady(model, PACE);
  const which = query.get("metric") ?? "";
  const value = useMemo(
    () => (trial: Trial): number | undefined => (which === "" ? trial.finalValue : trial.metrics?.[which]),
    [which],
  );
  const trials = useMemo(() => ranked(slow, value), [slow, which]);
  const tabs: [string, string][] = [
    ["importance", "Importance"],
    ["slice", "Slice"],
    ["parallel", "Parallel coordinates"],
    ["contour", "Contour"],
    ["distribution", "Distribution"],
  ];
  if (slow.metricNames.length > 0) tabs.push(["pareto", "Pareto front"]);
  tabs.push(["experiments", "Other experiments"]);
  const tab = query.get("tab") ?? "importance";
  return (
    <section>
      <div class="filter">
        <p class="hint">{plural(trials.length, "trial")} with a result</p>
        <span class="gap" />
        {slow.metricNames.length > 0 && !["importance", "pareto", "experiments"].includes(tab) && (
          <label class="option">
            Metric
            <select value={which} onChange={(event) => setQuery({ metric: event.currentTarget.value || null })}>
              <option value="">default</option>
              {slow.metricNames.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        )}
      </div>
      <Tabs label="Analysis" names={tabs} chosen={tab} choose={(key) => setQuery({ tab: key === "importance" ? null : key })}>
        {tab === "experiments" ? (
          <Others model={slow} query={query} now={now + model.ahead} />
        ) : trials.length === 0 ? (
          <p class="empty">
            {slow.experiment.isOver
              ? "No trial succeeded with a final result: there is nothing to analyse."
              : "Shown as soon as a trial has succeeded with a final result. Ten or more make it worth a look."}
          </p>
        ) : (
          <Chart tab={tab} model={slow} trials={trials} value={value} query={query} />
        )}
      </Tabs>
    </section>
  );
}

const load = async () => (await import("./comparison")).Comparison;

function Others(props: ComponentProps<typeof Comparison>) {
  const Loaded = useLater(load);
  return Loaded ? <Loaded {...props} /> : <p class="empty">Loading</p>;
}

interface ChartProps {
  tab: string;
  model: Model;
  trials: readonly Trial[];
  value: (trial: Trial) => number | undefined;
  query: URLSearchParams;
}

function Chart({ tab, model, trials, value, query }: ChartProps) {
  switch (tab) {
    case "parallel": {
      const top = trials.slice(0, Math.max(MOST_PARALLEL, Math.ceil(trials.length * 0.05)));
      return (
        <>
          {top.length < trials.length && <p class="hint">The best {top.length} of {trials.length} trials.</p>}
          <Parallel model={model} trials={top} value={value} parameters={model.parameterNames} height={420} />
        </>
      );
    }
    case "contour":
      return <TwoParameters model={model} trials={trials} value={value} query={query} />;
    case "distribution":
      return <Values model={model} trials={trials} value={value} query={query} />;
    case "pareto":
      return <Front model={model} trials={trials} />;
    case "slice":
      return <Slices model={model} trials={trials} value={value} parameters={model.parameterNames} />;
    default:
      return <Importance model={model} count={trials.length} />;
  }
}

/** What the manager computes anew only when there is enough more to go by. */
function Importance({ model, count }: { model: Model; count: number }) {
  const tens = Math.floor(Math.log(Math.max(1, count)) / Math.log(1.05));
  const { value, error } = useFetched(`importance ${tens}`, (signal) =>
    get<{ importance: Record<string, number>; trials: number }>("parameter-importance", signal),
  );
  if (error) return <p class="notice bad">{error}</p>;
  if (!value) return <p class="empty">Computing; thousands of trials take some seconds.</p>;
  const shares = Object.entries(value.importance);
  if (shares.length === 0) {
    return <p class="empty">Shown as soon as ten trials of the search space have succeeded with different metrics.</p>;
  }
  const most = shares[0]?.[1] ?? 1;
  const isLeft = model.parameterNames.some((name) => !(name in value.importance));
  return (
    <>
      <ul class="bars" aria-label="Importance of parameters">
        {shares.map(([name, share]) => (
          <li key={name}>
            <a href="analysis?tab=slice">{name}</a>
            <span class="share" style={{ width: `${(share / most) * 100}%` }} />
            <span class="number">{(share * 100).toPrecision(share >= 0.1 ? 3 : 2)} %</span>
          </li>
        ))}
      </ul>
      <p class="hint">
        Share of each parameter in what sets good trials apart (PED-ANOVA), from {plural(value.trials, "trial")}.
        {isLeft && " What is not of the search space is left out."}
      </p>
    </>
  );
}

interface Results {
  id: string;
  experimentName: string;
  values: number[];
}

function Values({ model, trials, value, query }: Omit<ChartProps, "tab">) {
  const values = useMemo(() => trials.map((trial) => value(trial) ?? 0), [trials]);
  const known = useFetched("experiments", (signal) => get<KnownExperiment[]>("experiments-info", signal));
  const others = (known.value ?? []).filter((its) => its.id !== model.experiment.id);
  const chosen = query.get("with");
  const compared = useFetched(chosen, (signal) => get<Results>(`experiment-results/${chosen}`, signal));
  const other = useMemo(
    () => (chosen && compared.value ? { name: compared.value.experimentName || chosen, values: compared.value.values } : undefined),
    [chosen, compared.value],
  );
  return (
    <>
      <div class="filter">
        <p class="hint">How large a share of the trials has at most this metric.</p>
        <span class="gap" />
        <label class="option">
          Compare with
          <select value={chosen ?? ""} onChange={(event) => setQuery({ with: event.currentTarget.value || null })}>
            <option value="">no other experiment</option>
            {others.map((its) => (
              <option key={its.id} value={its.id}>
                {its.experimentName ? `${its.experimentName} (${its.id})` : its.id}
              </option>
            ))}
          </select>
        </label>
      </div>
      {chosen && compared.error && <p class="notice bad">{compared.error}</p>}
      <Distribution values={values} other={other} height={360} />
      {other && (
        <dl class="facts wide">
          {[
            { name: "This experiment", values },
            { name: other.name, values: other.values },
          ].map((one) => (
            <Fact
              key={one.name}
              name={
                <>
                  <span class={`mark line ${one.name === other.name ? "failed" : "accent"}`} /> {one.name}
                </>
              }
            >
              {summaryOf(one.values, model.experiment.maximize)}
            </Fact>
          ))}
        </dl>
      )}
    </>
  );
}

function summaryOf(values: readonly number[], maximize: boolean): string {
  if (values.length === 0) return "no result";
  const order = [...values].sort((a, b) => (maximize ? b - a : a - b));
  return `${plural(values.length, "result")}, best ${metric(order[0])}, median ${metric(order[Math.floor(order.length / 2)])}`;
}

function TwoParameters({ model, trials, value, query }: Omit<ChartProps, "tab">) {
  const names = model.parameterNames;
  const x = query.get("x") ?? names[0];
  const y = query.get("y") ?? names[1];
  if (x === undefined || y === undefined) return <p class="empty">A contour needs two parameters; this experiment has one.</p>;
  const choice = (label: string, key: string, chosen: string) => (
    <label class="option">
      {label}
      <select value={chosen} onChange={(event) => setQuery({ [key]: event.currentTarget.value })}>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
  return (
    <>
      <div class="filter">
        {choice("Across", "x", x)}
        {choice("Up", "y", y)}
        <span class="hint">
          worst <Shades /> best: rank among all trials, guessed between them.
        </span>
      </div>
      <Contour model={model} trials={trials} value={value} x={x} y={y} height={420} />
    </>
  );
}

function Front({ model, trials }: Pick<ChartProps, "model" | "trials">) {
  // With several objectives the first is what trials are compared by; the others say themselves what is better.
  const { objectives } = model.experiment;
  const others = Object.keys(objectives).filter((its, place) => place > 0 && its !== "default");
  const names = others.length > 0 ? others : model.metricNames;
  const [name, setName] = useState(names[0] ?? "");
  const [choice, setLow] = useState<boolean | null>(null);
  const isLow = choice ?? objectives[name] !== "maximize";
  return (
    <>
      <div class="filter">
        <label class="option">
          Second metric
          <select value={name} onChange={(event) => (setName(event.currentTarget.value), setLow(null))}>
            {names.map((its) => (
              <option key={its}>{its}</option>
            ))}
          </select>
        </label>
        <label class="option">
          <input type="checkbox" checked={isLow} onChange={(event) => setLow(event.currentTarget.checked)} />
          lower is better
        </label>
      </div>
      <Pareto model={model} trials={trials} metricName={name} isLow={isLow} height={420} />
    </>
  );
}
