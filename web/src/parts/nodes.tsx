// The pods of trials under way, by the node that they are on.

import { useMemo } from "preact/hooks";
import { plural } from "../data/format";
import type { Pod, Trial } from "../data/model";
import { capacity } from "../data/quantity";
import { Status, When } from "./small";

/** A pod as the list of all pods has it. */
export interface OurPod extends Pod {
  trialJobId: string;
}

export interface Node {
  name: string;
  isReady: boolean;
  takesPods: boolean;
  capacity: Record<string, string>;
}

interface Row {
  trial: Trial;
  pod: OurPod | undefined;
}

interface Props {
  live: readonly Trial[];
  pods: readonly OurPod[];
  nodes: readonly Node[];
  /** What to say of trials of which no pod is known. */
  without: string;
  now: number;
}

const MOST = 300;

export function ByNode({ live, pods, nodes, without, now }: Props) {
  const groups = useMemo(() => grouped(live, pods, without), [live, pods, without]);
  const known = new Map(nodes.map((node) => [node.name, node]));
  const idle = nodes.filter((node) => !groups.has(node.name));
  let left = MOST;
  return (
    <>
      <div class="table" tabIndex={0} role="region" aria-label="Pods by node">
        <table class="files nodes">
          <thead>
            <tr>
              <th scope="col">Trial</th>
              <th scope="col">Replica</th>
              <th scope="col">Pod</th>
              <th scope="col">Trial's state</th>
              <th scope="col">Sent</th>
              <th scope="col">Started</th>
            </tr>
          </thead>
          {[...groups].map(([name, rows]) => {
            const shown = rows.slice(0, Math.max(0, left));
            left -= shown.length;
            return (
              <tbody key={name}>
                <tr class="group">
                  <th scope="rowgroup" colSpan={6}>
                    {name} <span class="hint">{about(known.get(name), rows)}</span>
                  </th>
                </tr>
                {shown.map((row) => (
                  <One key={row.trial.trialJobId + (row.pod?.name ?? "")} row={row} now={now} />
                ))}
              </tbody>
            );
          })}
        </table>
      </div>
      {left <= 0 && <p class="hint">The first {MOST} pods are shown.</p>}
      {idle.length > 0 && <Idle nodes={idle} />}
    </>
  );
}

function One({ row: { trial, pod }, now }: { row: Row; now: number }) {
  return (
    <tr>
      <td>
        <a href={`trial/${trial.trialJobId}?tab=pods`}>
          <code>{trial.trialJobId}</code>
        </a>
      </td>
      <td>{pod ? `${pod.role}-${pod.index}` : "–"}</td>
      <td title={pod?.name}>{pod ? `${pod.phase}${pod.state ? `, ${pod.state}` : ""}` : "–"}</td>
      <td>
        <Status status={trial.status} />
      </td>
      <td>
        <When time={trial.submitTime} now={now} />
      </td>
      <td>
        <When time={trial.startTime} now={now} />
      </td>
    </tr>
  );
}

/** Nodes by name; pods without a node and trials without a pod come last. */
function grouped(live: readonly Trial[], pods: readonly OurPod[], without: string): Map<string, Row[]> {
  const of = new Map<string, OurPod[]>();
  for (const pod of pods) of.set(pod.trialJobId, [...(of.get(pod.trialJobId) ?? []), pod]);
  const found = new Map<string, Row[]>();
  const late = new Map<string, Row[]>();
  const put = (into: Map<string, Row[]>, name: string, row: Row): void => {
    const rows = into.get(name);
    if (rows) rows.push(row);
    else into.set(name, [row]);
  };
  for (const trial of live) {
    const its = of.get(trial.trialJobId) ?? [];
    if (its.length === 0) put(late, without, { trial, pod: undefined });
    for (const pod of its) {
      if (pod.node) put(found, pod.node, { trial, pod });
      else put(late, "On no node yet", { trial, pod });
    }
  }
  return new Map([...[...found].sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true })), ...late]);
}

function about(node: Node | undefined, rows: readonly Row[]): string {
  const phases = new Map<string, number>();
  for (const { pod } of rows) if (pod) phases.set(pod.phase, (phases.get(pod.phase) ?? 0) + 1);
  const said = [...phases].map(([phase, count]) => `${count} ${phase.toLowerCase()}`);
  const all = phases.size === 1 ? ` ${[...phases.keys()][0]?.toLowerCase()}` : ` (${said.join(", ")})`;
  const count = phases.size === 0 ? plural(rows.length, "trial") : plural(rows.length, "pod") + all;
  return [count, node && stateOf(node), node && capacity(node.capacity)].filter(Boolean).join(" · ");
}

function stateOf(node: Node): string {
  return [node.isReady ? "ready" : "not ready", node.takesPods ? "" : "takes no new pods"].filter(Boolean).join(", ");
}

function Idle({ nodes }: { nodes: readonly Node[] }) {
  return (
    <details>
      <summary>{plural(nodes.length, "node")} without a pod of ours</summary>
      <ul class="plain">
        {nodes.map((node) => (
          <li key={node.name}>
            {node.name} <span class="hint">{`${stateOf(node)} · ${capacity(node.capacity)}`}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}
