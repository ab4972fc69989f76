// Health: a light for each part that the experiment leans on, with the age of its last sign of life.

import { absolute, ago } from "../data/format";
import type { Part, Sign } from "../data/model";

interface Props {
  health: readonly Sign[];
  platform: string;
  now: number;
  /** With sentences, as on the page of the cluster; else only what fits the top of every page. */
  isLong?: boolean;
}

const NAMES: Record<Part, string> = { tuner: "Tuner", platform: "API server", storage: "Storage", metrics: "Metrics" };

export function Lights({ health, platform, now, isLong = false }: Props) {
  return (
    <ul class={isLong ? "lights long" : "lights"} aria-label="Health">
      {health.map((sign) => {
        const name = sign.part === "platform" && platform === "local" ? "Processes" : NAMES[sign.part];
        const told = tell(sign, now);
        const title = `${name}: ${told}${sign.heardAt === undefined ? "" : `; last sign of life ${absolute(sign.heardAt)}`}`;
        return (
          <li key={sign.part} class={`light ${sign.state}`} title={title}>
            <b>{name}</b> <span>{isLong ? told : short(sign, now)}</span>
          </li>
        );
      })}
    </ul>
  );
}

function tell(sign: Sign, now: number): string {
  if (sign.state === "failed") return `${sign.sentence ?? "failed"} (${ago(sign.since ?? now, now)})`;
  if (sign.heardAt === undefined) return "nothing heard yet";
  return `last sign of life ${ago(sign.heardAt, now)}`;
}

function short(sign: Sign, now: number): string {
  if (sign.state === "failed") return "failed";
  return sign.heardAt === undefined ? "–" : ago(sign.heardAt, now).replace(" ago", "").replace("just now", "now");
}
