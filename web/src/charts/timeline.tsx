// When the attempts of trials waited and ran: a line for each trial, the newest on top.

import { segments, segmentText, type Segment } from "../data/attempts";
import { absolute } from "../data/format";
import type { Trial } from "../data/model";

const MOST_ROWS = 60;

export function Timeline({ trials, now }: { trials: readonly Trial[]; now: number }) {
  const shown = trials.slice(-MOST_ROWS).reverse();
  if (shown.length === 0) return null;
  const from = Math.min(...shown.map((trial) => trial.submitTime));
  const to = Math.max(...shown.map((trial) => trial.endTime ?? now), from + 1000);
  const share = (time: number): string => `${(((time - from) / (to - from)) * 100).toFixed(3)}%`;
  const place = (start: number, end: number) => ({ left: share(start), right: `calc(100% - ${share(end)})` });
  return (
    <div class="timeline">
      <ol aria-label="Timeline">
        {shown.map((trial) => (
          <li key={trial.trialJobId}>
            <a href={`trial/${trial.trialJobId}`}>
              <code>{trial.trialJobId}</code>
            </a>
            <span class="track">
              {segments(trial, now).map((its) => (
                <Bar key={its.number} its={its} isOnly={trial.past.length === 0} place={place} />
              ))}
            </span>
          </li>
        ))}
      </ol>
      <p class="hint ends">
        <span>{absolute(from)}</span>
        <span>{absolute(to)}</span>
      </p>
      {trials.length > MOST_ROWS && <p class="hint">The newest {MOST_ROWS} are shown; filter for others.</p>}
    </div>
  );
}

interface BarProps {
  its: Segment;
  isOnly: boolean;
  place: (start: number, end: number) => { left: string; right: string };
}

function Bar({ its, isOnly, place }: BarProps) {
  const title = segmentText(its, isOnly);
  return (
    <>
      {its.waitsFrom !== undefined && <span class="waited" title={title} style={place(its.waitsFrom, its.from ?? its.to)} />}
      {its.from !== undefined && <span class={`ran ${its.status}`} title={title} style={place(its.from, its.to)} />}
    </>
  );
}
