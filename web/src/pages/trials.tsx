// All trials: charts over those that the filter leaves, and a table of them.

import { useMemo, useState } from "preact/hooks";
import { IntermediateCurves } from "../charts/curves";
import { Parallel } from "../charts/parallel";
import { MetricScatter } from "../charts/scatter";
import { Durations } from "../charts/spread";
import { useSteady } from "../charts/steady";
import { Timeline } from "../charts/timeline";
import { csv, save } from "../data/export";
import { chipOf, select, sorted, type Chip, type Filter, type Sort } from "../data/filter";
import { capital, plural, statusWord } from "../data/format";
import { hasResult, isLive, ranked, shownValue, STATUSES, type Model, type Status, type Trial } from "../data/model";
import { setQuery, type Route } from "../data/route";
import { allColumns, defaultFields } from "../parts/columns";
import { FilterBar } from "../parts/filterbar";
import { Selection } from "../parts/selection";
import { Tabs } from "../parts/small";
import { TrialTable } from "../parts/table";

const PACE = 250;
const TABS = [
  ["metric", "Default metric"],
  ["parameters", "Hyper-parameters"],
  ["duration", "Duration"],
  ["intermediate", "Intermediate results"],
] as const;
const CHART = 280;
const MANY = 1000;

interface Props {
  model: Model;
  now: number;
  route: Route;
}

export function Trials({ model, now, route: { query } }: Props) {
  const slow = useSteady(model, PACE);
  const tab = query.get("tab") ?? "metric";
  const filter = useMemo(() => filterOf(query), [query.toString()]);
  const sort = sortOf(query, model.experiment.maximize);
  const time = now + model.ahead;
  // Durations of running trials grow; filtering and sorting many by them anew each second is not worth it.
  const step = slow.trials.length > MANY ? 10_000 : 1000;
  const coarse = Math.floor(time / step) * step;
  const kept = useMemo(() => select(slow.trials, filter, coarse), [slow, filter, coarse]);
  const rows = useMemo(() => sorted(kept, sort, coarse), [kept, sort.field, sort.isDescending]);
  const fields = query.get("columns")?.split(",") ?? defaultFields(slow.parameterNames, slow.metricNames);
  const columns = useMemo(() => {
    const all = allColumns(slow.parameterNames, slow.metricNames);
    return fields.flatMap((field) => all.get(field) ?? []);
  }, [fields.join(), slow.parameterNames.length, slow.metricNames.length]);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const choose = (ids: readonly string[], isChosen: boolean): void => {
    setChosen((before) => {
      const next = new Set(before);
      for (const id of ids) isChosen ? next.add(id) : next.delete(id);
      return next;
    });
  };
  const onSort = (field: string): void => {
    const isDescending = sort.field === field ? !sort.isDescending : field === "metric" ? model.experiment.maximize : false;
    setQuery({ sort: `${isDescending ? "-" : ""}${field}` });
  };
  return (
    <>
      <section>
        <Tabs label="Charts" names={TABS} chosen={tab} choose={(key) => setQuery({ tab: key })}>
          {kept.length === 0 && slow.trials.length > 0 ? (
            <p class="empty" style={{ height: `${CHART}px` }}>
              The filter leaves no trial to draw. <ClearFilters />
            </p>
          ) : (
            <Chart tab={tab} model={slow} kept={kept} now={coarse} query={query} />
          )}
        </Tabs>
      </section>
      <section>
        <FilterBar
          model={slow}
          filter={filter}
          fields={fields}
          onCsv={() => save(`${model.experiment.id}.csv`, "text/csv", csv(rows, fields, time))}
        />
        <Selection model={slow} chosen={chosen} now={time} clear={() => setChosen(new Set())} />
        {rows.length > 0 ? (
          <TrialTable
            trials={rows}
            columns={columns}
            best={model.best?.trialJobId}
            now={time}
            sort={sort}
            onSort={onSort}
            chosen={chosen}
            onChoose={choose}
            height={560}
            label="Trials"
          />
        ) : (
          <p class="empty">
            {slow.trials.length === 0 ? (
              model.experiment.isOver ? (
                "There was no trial."
              ) : (
                "No trial yet: the tuner is choosing the first parameters. Trials appear here by themselves."
              )
            ) : (
              <>
                None of {plural(slow.trials.length, "trial")} is like this now. <ClearFilters />
              </>
            )}
          </p>
        )}
        <p class="hint" aria-live="polite">
          {rows.length === slow.trials.length
            ? plural(rows.length, "trial")
            : `${rows.length} of ${plural(slow.trials.length, "trial")}`}
        </p>
      </section>
    </>
  );
}

function ClearFilters() {
  return (
    <button type="button" class="small" onClick={() => setQuery({ status: null, search: null, where: null })}>
      Clear filters
    </button>
  );
}

function filterOf(query: URLSearchParams): Filter {
  const statuses = query.getAll("status").filter((its): its is Status => (STATUSES as readonly string[]).includes(its));
  const chips = query.getAll("where").map(chipOf).filter((chip): chip is Chip => chip !== null);
  return { statuses: new Set(statuses), search: query.get("search") ?? "", chips };
}

function sortOf(query: URLSearchParams, maximize: boolean): Sort {
  const given = query.get("sort");
  if (given === null) return { field: "number", isDescending: true };
  if (given === "metric") return { field: "metric", isDescending: maximize };
  return given.startsWith("-") ? { field: given.slice(1), isDescending: true } : { field: given, isDescending: false };
}

interface ChartProps {
  tab: string;
  model: Model;
  kept: readonly Trial[];
  now: number;
  query: URLSearchParams;
}

function Chart({ tab, model, kept, now, query }: ChartProps) {
  switch (tab) {
    case "parameters":
      return <HyperParameters model={model} kept={kept} query={query} />;
    case "duration":
      return (
        <div class="halves flat">
          <Durations trials={kept} now={now} height={CHART} />
          <Timeline trials={kept} now={now} />
        </div>
      );
    case "intermediate":
      return <Intermediate model={model} kept={kept} query={query} />;
    default:
      return (
        <>
          <Option name="log" label="Logarithmic" query={query} />
          <MetricScatter model={model} trials={kept} height={CHART} isLogarithmic={query.has("log")} />
        </>
      );
  }
}

/** A switch that stands in the address. */
function Option({ name, label, query }: { name: string; label: string; query: URLSearchParams }) {
  return (
    <label class="option">
      <input
        type="checkbox"
        checked={query.has(name)}
        onChange={(event) => setQuery({ [name]: event.currentTarget.checked ? "1" : null })}
      />
      {label}
    </label>
  );
}

const SHARES = ["1", "5", "20", "100"];

function HyperParameters({ model, kept, query }: Omit<ChartProps, "tab" | "now">) {
  const all = useMemo(() => ranked({ experiment: model.experiment, trials: kept }), [kept]);
  const few = all.length <= 100 ? "100" : "5";
  const share = query.get("top") ?? few;
  const count = Math.max(1, Math.ceil((all.length * Number(share)) / 100));
  const trials = useMemo(() => all.slice(0, count), [all, count]);
  if (all.length === 0) return <p class="empty">A line for each trial appears here, as soon as one has succeeded with a metric.</p>;
  return (
    <>
      <div class="choice" role="group" aria-label="Which trials">
        {SHARES.map((its) => (
          <button type="button" key={its} class="small" aria-pressed={its === share} onClick={() => setQuery({ top: its === few ? null : its })}>
            {its === "100" ? "All" : `Best ${its} %`}
          </button>
        ))}
      </div>
      <Parallel model={model} trials={trials} value={(trial) => trial.finalValue} parameters={model.parameterNames} height={320} />
    </>
  );
}

const COUNTS = ["10", "20", "50"];

/** Of what failed or was stopped by somebody no value is good, however good it looks: it comes behind all others. */
const isInTheRace = (trial: Trial): boolean => hasResult(trial) || isLive(trial) || trial.status === "EARLY_STOPPED";

function Intermediate({ model, kept, query }: Omit<ChartProps, "tab" | "now">) {
  const count = Number(query.get("curves") ?? "10");
  const order = query.get("of") ?? "best";
  const trials = useMemo(() => {
    const reporting = kept.filter((trial) => trial.intermediateCount > 0);
    if (order === "newest") return reporting.slice(-count).reverse();
    if (order === "running") return reporting.filter(isLive).slice(-count).reverse();
    const its = { experiment: model.experiment, trials: reporting };
    return [...ranked(its, shownValue, isInTheRace), ...ranked(its, shownValue, (trial) => !isInTheRace(trial))].slice(0, count);
  }, [kept, count, order]);
  return (
    <>
      <div class="choice" role="group" aria-label="Which trials">
        {["best", "newest", "running"].map((its) => (
          <button type="button" key={its} class="small" aria-pressed={its === order} onClick={() => setQuery({ of: its === "best" ? null : its })}>
            {capital(its)}
          </button>
        ))}
        <span class="gap" />
        {COUNTS.map((its) => (
          <button type="button" key={its} class="small" aria-pressed={Number(its) === count} onClick={() => setQuery({ curves: its === "10" ? null : its })}>
            {its}
          </button>
        ))}
      </div>
      <IntermediateCurves
        trials={trials}
        height={CHART}
        best={model.best?.trialJobId}
        empty={
          model.counts.RUNNING > 0 || model.trials.length === 0
            ? "Curves appear here as trials call nni.report_intermediate_result()."
            : `None of these trials (${statusWord("SUCCEEDED").toLowerCase()} or not) has reported an intermediate result.`
        }
      />
    </>
  );
}
