// JSON that Python wrote, and parameters as axes see them.

export type Parameters = Readonly<Record<string, unknown>>;

/** Reads JSON in which Python's NaN and Infinity may stand: they become text. Null when it cannot be read. */
export function parse(text: string): unknown {
  const read = (its: string): unknown => {
    try {
      return JSON.parse(its);
    } catch {
      return undefined;
    }
  };
  return read(text) ?? read(text.replace(/([[:,]\s*|^)(NaN|-?Infinity)(?=\s*[,}\]]|$)/g, '$1"$2"')) ?? null;
}

/** A metric's number: itself, or its `default` where it is a dictionary. */
export function numberOf(value: unknown): number | undefined {
  const its = typeof value === "object" && value !== null && "default" in value ? value.default : value;
  return typeof its === "number" ? its : undefined;
}

/** What an axis can show of a parameter: a number, or a word. Of a nested choice it is the option's name. */
export function point(value: unknown): number | string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "number" || typeof value === "string") return value;
  if (typeof value === "object" && "_name" in value) return String(value._name);
  return JSON.stringify(value);
}
