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
  PAUSED: "Paused",
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

const REASONS: Record<string, string> = {
  user: "Trial's own code",
  config: "Configuration",
  capacity: "No room",
  infrastructure: "Cluster or machine",
};

/** Who can mend a reason of this class. */
export function reasonWord(kind: string): string {
  return REASONS[kind] ?? kind;
}

/** A size with three digits: `312 B`, `1.25 MB`. */
export function bytes(size: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let rest = size;
  let unit = 0;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? rest : Number(rest.toPrecision(3))} ${units[unit]}`;
}

/** Hours with three digits: `0.25 h`, `1240 h`. */
export function hours(value: number): string {
  return value >= 100 ? `${Math.round(value)} h` : `${Number(value.toPrecision(3))} h`;
}

export const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Seconds as the configuration writes them: `90s`, `2h`, `3d`. */
export function written(seconds: number): string {
  const units: [number, string][] = [
    [86400, "d"],
    [3600, "h"],
    [60, "m"],
  ];
  const [size, name] = units.find(([its]) => seconds >= its && seconds % its === 0) ?? [1, "s"];
  return `${seconds / size}${name}`;
}
