// Trials in rows. Only those rows are in the page that can be seen, however many there are.

import { Component } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Sort } from "../data/filter";
import type { Trial } from "../data/model";
import type { Column } from "./columns";

interface Props {
  trials: readonly Trial[];
  columns: readonly Column[];
  best: string | undefined;
  /** The manager's time. */
  now: number;
  sort?: Sort | undefined;
  onSort?: (field: string) => void;
  chosen?: ReadonlySet<string>;
  onChoose?: (ids: readonly string[], isChosen: boolean) => void;
  /** Pixels that the table may take; it scrolls within. */
  height: number;
  label: string;
}

const ROW = 30;
const BEYOND = 8;
const CHECK = 36;
const NARROW = 640;

export function TrialTable(props: Props) {
  const { trials, columns, height, chosen, onChoose } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const seen = Math.ceil(height / ROW);
  const first = Math.max(0, Math.min(Math.floor(top / ROW), trials.length - seen) - BEYOND);
  const last = Math.min(trials.length, first + seen + 2 * BEYOND);
  // On a narrow screen the metric is to be seen without scrolling sideways.
  const scale = innerWidth < NARROW ? 0.82 : 1;
  const width = columns.reduce((sum, column) => sum + column.width * scale, onChoose ? CHECK : 0);
  // A shorter list may leave the place that was scrolled to.
  useLayoutEffect(() => setTop(scroller.current?.scrollTop ?? 0), [trials.length]);
  const isAll = chosen !== undefined && trials.length > 0 && trials.every((trial) => chosen.has(trial.trialJobId));
  return (
    <div
      class="table"
      ref={scroller}
      tabIndex={0}
      role="region"
      aria-label={props.label}
      style={{ maxHeight: `${height}px` }}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      <table aria-rowcount={trials.length + 1} style={{ minWidth: `${width}px` }}>
        <colgroup>
          {onChoose && <col style={{ width: `${CHECK}px` }} />}
          {columns.map((column) => (
            <col key={column.field} style={{ width: `${column.width * scale}px` }} />
          ))}
        </colgroup>
        <thead>
          <tr>
            {onChoose && (
              <th scope="col">
                <input
                  type="checkbox"
                  aria-label="Choose all"
                  checked={isAll}
                  onChange={() => onChoose(trials.map((trial) => trial.trialJobId), !isAll)}
                />
              </th>
            )}
            {columns.map((column) => (
              <Head key={column.field} column={column} {...props} />
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <tr aria-hidden="true" style={{ height: `${first * ROW}px` }} />}
          {trials.slice(first, last).map((trial, place) => (
            <Row
              key={trial.trialJobId}
              trial={trial}
              place={first + place}
              columns={columns}
              now={props.now}
              isBest={trial.trialJobId === props.best}
              isChosen={chosen?.has(trial.trialJobId) ?? false}
              onChoose={onChoose}
            />
          ))}
          {last < trials.length && <tr aria-hidden="true" style={{ height: `${(trials.length - last) * ROW}px` }} />}
        </tbody>
      </table>
    </div>
  );
}

function Head({ column, sort, onSort }: Props & { column: Column }) {
  const isSorted = sort?.field === column.field;
  const order = !isSorted ? "none" : sort.isDescending ? "descending" : "ascending";
  const mark = !isSorted ? "" : sort.isDescending ? " ↓" : " ↑";
  return (
    <th scope="col" class={column.isNumber ? "number" : ""} {...(onSort ? { "aria-sort": order } : {})} title={column.title}>
      {onSort ? (
        <button type="button" class="sort" onClick={() => onSort(column.field)}>
          {column.title}
          <span aria-hidden="true">{mark}</span>
        </button>
      ) : (
        column.title
      )}
    </th>
  );
}

interface RowProps {
  trial: Trial;
  place: number;
  columns: readonly Column[];
  now: number;
  isBest: boolean;
  isChosen: boolean;
  onChoose: Props["onChoose"];
}

/** Drawn again only when something in it is new: the time passes for all rows, and most show nothing of it. */
class Row extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    const { trial, place, columns, isBest, isChosen, now } = this.props;
    if (trial !== next.trial || place !== next.place || columns !== next.columns) return true;
    if (isBest !== next.isBest || isChosen !== next.isChosen) return true;
    return now !== next.now && next.columns.some((column) => column.isTimely);
  }

  override render({ trial, place, columns, now, isBest, isChosen, onChoose }: RowProps) {
    return (
      <tr class={`${isBest ? "is-best" : ""} ${isChosen ? "is-chosen" : ""}`} aria-rowindex={place + 2}>
        {onChoose && (
          <td>
            <input
              type="checkbox"
              aria-label={`Choose ${trial.trialJobId}`}
              checked={isChosen}
              onChange={() => onChoose([trial.trialJobId], !isChosen)}
            />
          </td>
        )}
        {columns.map((column) => (
          <td key={column.field} class={column.isNumber ? "number" : ""}>
            {column.show(trial, now)}
          </td>
        ))}
      </tr>
    );
  }
}
