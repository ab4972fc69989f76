// The end of a file that may grow, line by line. Pure but for the stream that `read` reads.

import { ask, RefusedError } from "./rest";

/** Lines that are kept; earlier ones are there for download. */
export const MOST_LINES = 20_000;
/** Bytes before the end from which a log is read. */
export const TAIL_BYTES = 512 * 1024;
/** Milliseconds before a connection that was cut is tried again: twice as many each time, up to the second. */
const PAUSE = [1000, 30_000] as const;

export class Lines {
  private rest = "";
  private kept: string[] = [];
  /** How many lines were let go. */
  dropped = 0;

  /** `isCut` says that the first line is only the end of one; it is left out. */
  constructor(private isCut = false) {}

  /** Takes text that may end within a line. */
  add(text: string): void {
    const parts = (this.rest + text).split("\n");
    this.rest = parts.pop() ?? "";
    if (this.isCut && parts.length > 0) {
      parts.shift();
      this.isCut = false;
    }
    for (const part of parts) this.kept.push(part);
    const excess = this.kept.length - MOST_LINES;
    if (excess > 0) {
      this.kept = this.kept.slice(excess);
      this.dropped += excess;
    }
  }

  all(): string[] {
    return this.rest === "" || this.isCut ? [...this.kept] : [...this.kept, this.rest];
  }
}

/** What was read of a file, and where the next byte is: reading can end at any moment and go on later. */
export class Tail {
  lines = new Lines();
  /** Bytes before what was read. */
  skipped = 0;
  /** Bytes from the file's start up to which it was read; null before the first answer. */
  private offset: number | null = null;
  private decoder = new TextDecoder();

  constructor(readonly path: string) {}

  /**
   * Reads what follows, with `isFollowed` for as long as the file may grow; `onNews` is told of each part.
   * It returns at the file's end, and throws when the connection is cut: what came until then is kept.
   */
  async read(isFollowed: boolean, signal: AbortSignal, onNews: () => void): Promise<void> {
    const answer = await ask(`${this.path}?offset=${this.offset ?? -TAIL_BYTES}${isFollowed ? "&follow" : ""}`, { signal });
    if (this.offset !== null && Number(answer.headers.get("X-Size")) < this.offset) {
      // It is another file by now, or was cut short: the next byte of the one before is nowhere.
      await answer.body?.cancel();
      this.offset = null;
      return this.read(isFollowed, signal, onNews);
    }
    if (this.offset === null) this.begin(Number(answer.headers.get("X-Offset") ?? 0));
    const reader = answer.body?.getReader();
    onNews();
    for (;;) {
      const part = await reader?.read();
      if (!part || part.done) return;
      this.offset = (this.offset ?? 0) + part.value.length;
      // A character may come in two parts, even over two connections.
      this.lines.add(this.decoder.decode(part.value, { stream: true }));
      onNews();
    }
  }

  private begin(offset: number): void {
    this.offset = offset;
    this.skipped = offset;
    this.lines = new Lines(offset > 0);
    this.decoder = new TextDecoder();
  }
}

/** Reads a file to its end as `Tail.read` does, over as many connections as it takes; `onCut` is told of each cut. */
export async function readOn(tail: Tail, isFollowed: boolean, signal: AbortSignal, onNews: () => void, onCut: () => void): Promise<void> {
  let pause: number = PAUSE[0];
  const news = (): void => {
    pause = PAUSE[0];
    onNews();
  };
  for (;;) {
    try {
      return await tail.read(isFollowed, signal, news);
    } catch (reason) {
      if (signal.aborted || (reason instanceof RefusedError && reason.status < 500)) throw reason;
      onCut();
    }
    await sleep(pause, signal);
    pause = Math.min(2 * pause, PAUSE[1]);
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason as Error)), { once: true });
  });
}
