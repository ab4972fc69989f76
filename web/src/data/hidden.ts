// A configuration as it may be shown to whoever looks over the reader's shoulder: without secrets. Pure.

export const HIDDEN = "(hidden)";
const SECRET = /token|secret|passw|credential|api_?key|access_?key|private_?key|account_?key/i;
/** What is called so names a secret and is none. */
const NAMES = /name$|names$|ref$|secrets$|^key_?vault_?key$/i;
/** A secret that is given within a command: `WANDB_API_KEY=abc python train.py`, `--token abc`. */
const GIVEN = /([\w-]*(?:token|secret|passw(?:or)?d|api_?key|access_?key)[\w-]*)(=|\s+)("[^"]*"|'[^']*'|[^\s"']+)/gi;
/** A password in an address. */
const ADDRESS = /(:\/\/[^\s/:@]+:)[^\s/@]+@/g;

/** Returns the same without what looks like a secret: values by their names, and what stands in commands. */
export function withoutSecrets(value: unknown): unknown {
  if (typeof value === "string") return withinText(value);
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== "object" || value === null) return value;
  const its = value as Record<string, unknown>;
  // A container's environment is a list of names and values.
  const isNamed = typeof its.name === "string" && isSecret(its.name);
  return Object.fromEntries(
    Object.entries(its).map(([name, one]) => [name, isPlain(one) && (isSecret(name) || (isNamed && name === "value")) ? HIDDEN : withoutSecrets(one)]),
  );
}

const isSecret = (name: string): boolean => SECRET.test(name) && !NAMES.test(name);

const isPlain = (value: unknown): boolean => typeof value === "string" || typeof value === "number";

function withinText(text: string): string {
  const plain = text.replace(ADDRESS, `$1${HIDDEN}@`);
  return plain.replace(GIVEN, (found, name: string, between: string) => {
    // Without a sign of an option, words that follow one another are only words.
    return between === "=" || name.startsWith("-") ? `${name}${between}${HIDDEN}` : found;
  });
}
