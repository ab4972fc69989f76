// Numbers and times as people read them.

/** A duration in at most two units: `0 s`, `45 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** A duration to its largest unit, for guesses: `about 3 min`. */
export function roughly(milliseconds: number): string {
  const minutes = milliseconds / 60000;
  if (minutes < 1) return "under a minute";
  if (minutes < 90) return `about ${Math.round(minutes)} min`;
  if (minutes < 36 * 60) return `about ${Math.round(minutes / 60)} h`;
  return `about ${Math.round(minutes / 1440)} d`;
}

/** A moment seen from now: `just now`, `45 s ago`, `3 min ago`, `2 h ago`, `5 d ago`. */
export function ago(moment: number, now: number): string {
  const seconds = Math.floor((now - moment) / 1000);
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** A moment in full, for the pointer that rests on it. */
export function absolute(moment: number): string {
  return new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** A metric: six significant digits, large and small ones with an exponent. */
export function metric(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e9 || size < 1e-4) return value.toExponential(4);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}

/** The value of a parameter: short for numbers, as JSON for what has parts. */
export function parameter(value: unknown): string {
  if (typeof value === "number") return metric(value);
  if (typeof value === "string") return value;
  if (typeof value === "object" && value !== null && "_name" in value) {
    const { _name: name, ...rest } = value as Record<string, unknown>;
    const inner = Object.entries(rest).map(([key, its]) => `${key}=${parameter(its)}`);
    return inner.length > 0 ? `${String(name)} (${inner.join(", ")})` : String(name);
  }
  return JSON.stringify(value);
}

const WORDS: Record<string, string> = {
  INITIALIZED: "Starting",
  RUNNING: "Running",
  NO_MORE_TRIAL: "Finishing",
  TUNER_NO_MORE_TRIAL: "Finishing",
  DONE: "Done",
  STOPPING: "Stopping",
  STOPPED: "Stopped",
  ERROR: "Error",
  WAITING: "Waiting",
  SUCCEEDED: "Succeeded",
  FAILED: "Failed",
  USER_CANCELED: "Stopped by user",
  SYS_CANCELED: "Stopped by manager",
  EARLY_STOPPED: "Stopped early",
};

/** A status in words; NNI's own word stands in the title beside it. */
export function statusWord(status: string): string {
  return WORDS[status] ?? status;
}
