// Kubernetes' quantities (`500m`, `16Gi`), as numbers and as people read them.

const UNITS: Record<string, number> = {
  "": 1, n: 1e-9, u: 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18,
  Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3, Ti: 1024 ** 4, Pi: 1024 ** 5, Ei: 1024 ** 6,
}; // prettier-ignore

const QUANTITY = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$/;

/** Returns what a quantity amounts to; null where it is none. */
export function amount(text: string): number | null {
  const [, number, unit] = QUANTITY.exec(text.trim()) ?? [];
  const size = unit === undefined ? undefined : UNITS[unit];
  return number === undefined || size === undefined ? null : Number(number) * size;
}

const isBytes = (resource: string): boolean => /memory|storage|hugepages/.test(resource);

/** A quantity of a resource for people: `4`, `0.5`, `252 GiB`. */
export function quantity(resource: string, text: string): string {
  const value = amount(text);
  if (value === null) return text;
  if (!isBytes(resource)) return String(Number(value.toPrecision(4)));
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let rest = value;
  let unit = 0;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${Number(rest.toPrecision(3))} ${units[unit]}`;
}

/** How much of a bound is taken, from 0 to 1; null where that cannot be told. */
export function share(used: string, most: string | null): number | null {
  const [its, all] = [amount(used), most === null ? null : amount(most)];
  if (its === null || all === null) return null;
  return all <= 0 ? 1 : Math.min(1, its / all);
}

const NAMES: Record<string, string> = { cpu: "CPU", memory: "memory", "ephemeral-storage": "disk", pods: "pods" };

/** What a node has, the interesting part of it: `64 CPU, 252 GiB memory, 8 nvidia.com/gpu`. */
export function capacity(has: Readonly<Record<string, string>>): string {
  const devices = Object.keys(has).filter((name) => name.includes("/") && (amount(has[name] ?? "") ?? 0) > 0);
  return ["cpu", "memory", ...devices]
    .filter((name) => has[name] !== undefined)
    .map((name) => `${quantity(name, has[name] ?? "")} ${NAMES[name] ?? name}`)
    .join(", ");
}
