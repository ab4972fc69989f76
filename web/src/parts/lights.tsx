// Health: a light for each part that the experiment leans on, with the age of its last sign of life.

import { absolute, ago, duration } from "../data/format";
import type { Part, Sign } from "../data/model";

interface Props {
  health: readonly Sign[];
  platform: string;
  now: number;
  /** With sentences, as on the page of the cluster; else only what fits the top of every page. */
  isLong?: boolean;
}

const NAMES: Record<Part, string> = { tuner: "Tuner", platform: "API server", storage: "Storage", metrics: "Metrics" };

export function partName(part: Part, platform: string): string {
  return part === "platform" && platform === "local" ? "Processes" : NAMES[part];
}

export function Lights({ health, platform, now, isLong = false }: Props) {
  return (
    <ul class={isLong ? "lights long" : "lights"} aria-label="Health">
      {health.map((sign) => {
        const name = partName(sign.part, platform);
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
  if (sign.state === "late") return `${silence(sign, now)}; ${sign.sentence ?? ""}`;
  if (sign.heardAt === undefined) return "nothing heard yet";
  return `last sign of life ${ago(sign.heardAt, now)}`;
}

/** How long an answer is waited for. */
export function silence(sign: Sign, now: number): string {
  return `no answer for ${duration(now - (sign.since ?? now))}`;
}

function short(sign: Sign, now: number): string {
  if (sign.state === "late") return silence(sign, now);
  if (sign.state === "failed") return `failed ${age(sign.since ?? now, now)}`;
  return sign.heardAt === undefined ? "–" : age(sign.heardAt, now);
}

const age = (moment: number, now: number): string => ago(moment, now).replace(" ago", "").replace("just now", "now");
