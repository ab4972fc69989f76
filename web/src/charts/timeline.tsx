// When trials waited and ran: a bar for each, the newest on top.

import { absolute, duration, statusWord } from "../data/format";
import type { Trial } from "../data/model";

const MOST_ROWS = 60;

export function Timeline({ trials, now }: { trials: readonly Trial[]; now: number }) {
  const shown = trials.slice(-MOST_ROWS).reverse();
  if (shown.length === 0) return null;
  const from = Math.min(...shown.map((trial) => trial.submitTime));
  const to = Math.max(...shown.map((trial) => trial.endTime ?? now), from + 1000);
  const share = (time: number): string => `${(((time - from) / (to - from)) * 100).toFixed(3)}%`;
  return (
    <div class="timeline">
      <ol aria-label="Timeline">
        {shown.map((trial) => {
          const start = trial.startTime ?? trial.endTime ?? now;
          const end = trial.endTime ?? now;
          const ran = trial.startTime === undefined ? "" : `, ran ${duration(end - start)}`;
          return (
            <li
              key={trial.trialJobId}
              title={`${statusWord(trial.status)}: waited ${duration(start - trial.submitTime)}${ran}${trial.attempt > 1 ? `, attempt ${trial.attempt}` : ""}`}
            >
              <a href={`trial/${trial.trialJobId}`}>
                <code>{trial.trialJobId}</code>
              </a>
              <span class="track">
                <span class="waited" style={{ left: share(trial.submitTime), right: `calc(100% - ${share(start)})` }} />
                {trial.startTime !== undefined && (
                  <span class={`ran ${trial.status}`} style={{ left: share(start), right: `calc(100% - ${share(end)})` }} />
                )}
              </span>
            </li>
          );
        })}
      </ol>
      <p class="hint ends">
        <span>{absolute(from)}</span>
        <span>{absolute(to)}</span>
      </p>
      {trials.length > MOST_ROWS && <p class="hint">The newest {MOST_ROWS} are shown; filter for others.</p>}
    </div>
  );
}
