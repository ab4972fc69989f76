// Search, statuses and conditions, all of them in the page's address; and which columns are shown.

import { useState } from "preact/hooks";
import { LIKE } from "../data/complaint";
import { chipText, OPERATORS, problem, type Chip, type Filter, type Operator } from "../data/filter";
import { statusWord } from "../data/format";
import type { Model, Status } from "../data/model";
import { shownStatuses } from "../data/progress";
import { setQuery } from "../data/route";
import { EXAMPLES, kindOf } from "../data/wanted";
import { allColumns, defaultFields } from "./columns";
import { Dialog } from "./small";

interface Props {
  model: Model;
  filter: Filter;
  fields: readonly string[];
  onCsv: () => void;
}

export function FilterBar({ model, filter, fields, onCsv }: Props) {
  const [open, setOpen] = useState<"condition" | "columns" | null>(null);
  const toggle = (status: Status): void => {
    const next = new Set(filter.statuses);
    if (!next.delete(status)) next.add(status);
    setQuery({ status: [...next] });
  };
  const columns = allColumns(model.parameterNames, model.metricNames);
  return (
    <>
      <div class="filter" role="search">
        <input
          type="search"
          class="search"
          placeholder="Search id, parameters, reason"
          aria-label="Search trials"
          value={filter.search}
          onInput={(event) => setQuery({ search: event.currentTarget.value || null })}
        />
        <div class="choice" role="group" aria-label="Show trials by status">
          {shownStatuses(model.counts, filter.statuses).map((status) => (
            <button type="button" class="small" key={status} aria-pressed={filter.statuses.has(status)} onClick={() => toggle(status)}>
              <span class={`status ${status}`}>{statusWord(status)}</span> {model.counts[status] ?? 0}
            </button>
          ))}
        </div>
        <span class="gap" />
        <button type="button" class="small" onClick={() => setOpen("condition")}>
          Add condition
        </button>
        <button type="button" class="small" onClick={() => setOpen("columns")}>
          Columns
        </button>
        <button type="button" class="small" title="The rows and columns that are shown, as a file" onClick={onCsv}>
          CSV
        </button>
      </div>
      {filter.chips.length > 0 && (
        <ul class="chips" aria-label="Conditions">
          {filter.chips.map((chip) => {
            const title = titleOf(chip, columns);
            const wrong = problem(chip, title, model.trials);
            const others = filter.chips.filter((its) => its !== chip).map(chipText);
            return (
              <li key={chipText(chip)} class={wrong === null ? "" : "bad"}>
                <span>
                  {title} {chip.operator} {chip.value}
                  {wrong !== null && ` (left out: ${wrong})`}
                </span>
                <button type="button" aria-label={`Remove: ${title} ${chip.operator} ${chip.value}`} onClick={() => setQuery({ where: others })}>
                  ✕
                </button>
              </li>
            );
          })}
        </ul>
      )}
      {open === "condition" && <Condition model={model} filter={filter} onClose={() => setOpen(null)} />}
      {open === "columns" && <Columns model={model} fields={fields} onClose={() => setOpen(null)} />}
    </>
  );
}

function titleOf(chip: Chip, columns: ReturnType<typeof allColumns>): string {
  return columns.get(chip.field)?.title ?? (chip.field === LIKE ? "Reason like" : chip.field);
}

function Condition({ model, filter, onClose }: { model: Model; filter: Filter; onClose: () => void }) {
  const columns = [...allColumns(model.parameterNames, model.metricNames).values()].filter((column) => column.field !== "status");
  const [field, setField] = useState("metric");
  const [operator, setOperator] = useState<Operator>(">=");
  const [value, setValue] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  return (
    <Dialog title="Show only trials where" onClose={onClose}>
      <form
        class="condition"
        onSubmit={(event) => {
          event.preventDefault();
          const chip = { field, operator, value: value.trim() };
          const found = problem(chip, columns.find((column) => column.field === field)?.title ?? field, model.trials);
          setWrong(found);
          if (found !== null) return;
          setQuery({ where: [...filter.chips.map(chipText), chipText(chip)] });
          onClose();
        }}
      >
        <select aria-label="Field" value={field} onChange={(event) => (setField(event.currentTarget.value), setWrong(null))}>
          {columns.map((column) => (
            <option key={column.field} value={column.field}>
              {column.title}
            </option>
          ))}
        </select>
        <select aria-label="Comparison" value={operator} onChange={(event) => setOperator(event.currentTarget.value as Operator)}>
          {OPERATORS.map((its) => (
            <option key={its}>{its}</option>
          ))}
        </select>
        <input
          aria-label="Value"
          size={16}
          value={value}
          aria-invalid={wrong !== null}
          aria-describedby="condition-hint"
          onInput={(event) => (setValue(event.currentTarget.value), setWrong(null))}
        />
        <button type="submit" class="strong" disabled={value.trim() === ""}>
          Add
        </button>
      </form>
      <p id="condition-hint" class={wrong === null ? "hint" : "notice bad"} role="status">
        {wrong ?? (EXAMPLES[kindOf(field)] && `Written like ${EXAMPLES[kindOf(field)]}.`)}
      </p>
    </Dialog>
  );
}

function Columns({ model, fields, onClose }: { model: Model; fields: readonly string[]; onClose: () => void }) {
  const usual = defaultFields(model.parameterNames, model.metricNames);
  const all = [...allColumns(model.parameterNames, model.metricNames).values()];
  const set = (next: readonly string[]): void => {
    const order = all.map((column) => column.field).filter((field) => next.includes(field));
    const isUsual = order.length === usual.length && usual.every((field) => order.includes(field));
    setQuery({ columns: isUsual ? null : order.join(",") });
  };
  return (
    <Dialog title="Columns" onClose={onClose}>
      <ul class="checks">
        {all.map((column) => (
          <li key={column.field}>
            <label class="option">
              <input
                type="checkbox"
                checked={fields.includes(column.field)}
                onChange={(event) =>
                  set(event.currentTarget.checked ? [...fields, column.field] : fields.filter((field) => field !== column.field))
                }
              />
              {column.title}
            </label>
          </li>
        ))}
      </ul>
      <p class="actions">
        <button type="button" onClick={() => set(usual)}>
          The usual ones
        </button>
      </p>
    </Dialog>
  );
}
