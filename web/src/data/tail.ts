// The end of a file that may grow, line by line. Pure but for the stream that `follow` reads.

import { ask } from "./rest";

/** Lines that are kept; earlier ones are there for download. */
export const MOST_LINES = 20_000;
/** Bytes before the end from which a log is read. */
export const TAIL_BYTES = 512 * 1024;

export class Lines {
  private rest = "";
  private kept: string[] = [];
  /** How many lines were let go. */
  dropped = 0;

  /** Takes text that may end within a line. */
  add(text: string): void {
    const parts = (this.rest + text).split("\n");
    this.rest = parts.pop() ?? "";
    for (const part of parts) this.kept.push(part);
    const excess = this.kept.length - MOST_LINES;
    if (excess > 0) {
      this.kept = this.kept.slice(excess);
      this.dropped += excess;
    }
  }

  /** Forgets a first line that is only the end of one. */
  skipFirst(): void {
    this.kept.shift();
  }

  all(): string[] {
    return this.rest === "" ? [...this.kept] : [...this.kept, this.rest];
  }
}

export interface Tail {
  /** Bytes before what was read. */
  skipped: number;
}

/** Reads the end of a file and, until it is told to stop, what is added; `onText` gets it as it comes. */
export async function follow(path: string, isFollowed: boolean, signal: AbortSignal, onStart: (tail: Tail) => void, onText: (text: string) => void): Promise<void> {
  const answer = await ask(`${path}?offset=-${TAIL_BYTES}${isFollowed ? "&follow" : ""}`, { signal });
  onStart({ skipped: Number(answer.headers.get("X-Offset") ?? 0) });
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const part = await reader?.read();
    if (!part || part.done) return;
    onText(part.value);
  }
}
