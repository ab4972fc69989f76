// What the page lives on: everything once, then the one stream of changes. The stream is closed while the page is
// hidden, and taken up again where it was left.

import { apply, begin, type Change, type Model } from "./model";
import { trialsOf, type Snapshot } from "./snapshot";

export type Link =
  /** No answer yet. */
  | "connecting"
  | "live"
  /** What comes is older than it should be: the page or the way to it cannot keep up. */
  | "behind"
  /** The reader asked for quiet; nothing new is shown. */
  | "held"
  /** The manager does not answer; it is tried again. */
  | "lost"
  /** The manager does not know this browser (any more). */
  | "refused";

const RETRY_MILLISECONDS = 2000;
/** The manager gives a sign of life each 15 s; a connection without any for so long is given up. */
const SILENCE_MILLISECONDS = 40_000;
/** News that is so old is told to be. */
const LATE_MILLISECONDS = 3000;

/** Told to the window when the manager answers again: other connections to it are worth a new try. */
export const BACK = "nni:back";

/** Where the API is, however deep this page is. */
export function api(path: string): string {
  return new URL(`api/v1/nni/${path}`, document.baseURI).href;
}

export interface Listener {
  onModel: (model: Model) => void;
  onLink: (link: Link) => void;
}

/** Keeps a model of the experiment up to date until `stop` is called. */
export class Live {
  private source: EventSource | null = null;
  private model: Model | null = null;
  private place = "";
  private again = 0;
  private frame = 0;
  private heardAt = 0;
  private watch = 0;
  /** Milliseconds that the manager's clock is ahead at least: what came fastest tells. */
  private ahead = -Infinity;
  private isLate = false;
  private isLost = false;
  private isHeld = false;
  private isStopped = false;

  constructor(private readonly listener: Listener) {
    document.addEventListener("visibilitychange", this.onVisibility);
    this.watch = window.setInterval(this.lookForSilence, 5000);
    void this.open();
  }

  stop(): void {
    this.isStopped = true;
    document.removeEventListener("visibilitychange", this.onVisibility);
    window.clearInterval(this.watch);
    this.close();
  }

  /** Stops what is shown from changing, or lets it change again. */
  hold(isHeld: boolean): void {
    this.isHeld = isHeld;
    if (isHeld) {
      this.close();
      this.say("held");
    } else {
      void this.open();
    }
  }

  private say(link: Link): void {
    const isBack = this.isLost && link === "live";
    this.isLost = link === "lost" || (this.isLost && !isBack);
    this.listener.onLink(link);
    if (isBack) dispatchEvent(new Event(BACK));
  }

  private readonly onVisibility = (): void => {
    if (document.hidden) this.close();
    else if (!this.isHeld) void this.open();
  };

  private readonly lookForSilence = (): void => {
    if (this.source === null || Date.now() - this.heardAt < SILENCE_MILLISECONDS) return;
    this.say("lost");
    void this.open();
  };

  private async open(): Promise<void> {
    this.close();
    if (document.hidden || this.isStopped) return;
    if (this.model === null && !(await this.fetchAll())) return;
    if (this.isHeld || document.hidden || this.isStopped) return;
    this.close();
    const source = new EventSource(api(`events?after=${encodeURIComponent(this.place)}`));
    this.source = source;
    this.heardAt = Date.now();
    // A clock may have been set meanwhile.
    this.ahead = -Infinity;
    source.addEventListener("open", () => this.say("live"));
    source.addEventListener("beat", () => (this.heardAt = Date.now()));
    source.addEventListener("change", (event: MessageEvent<string>) => this.changed(event));
    source.addEventListener("error", () => void this.failed(source));
  }

  private close(): void {
    window.clearTimeout(this.again);
    this.source?.close();
    this.source = null;
  }

  private changed(event: MessageEvent<string>): void {
    this.heardAt = Date.now();
    const change = JSON.parse(event.data) as Change;
    if (change.reset || this.model === null) {
      // Another manager than before: its table is smaller than what the stream would tell.
      this.model = null;
      void this.open();
      return;
    }
    this.model = apply(this.model, change, Date.now());
    this.lookForDelay(this.model.ahead);
    if (event.lastEventId) this.place = event.lastEventId;
    if (!change.more) this.show();
  }

  private lookForDelay(ahead: number): void {
    this.ahead = Math.max(this.ahead, ahead);
    const isLate = this.ahead - ahead > LATE_MILLISECONDS;
    if (isLate !== this.isLate) this.say(isLate ? "behind" : "live");
    this.isLate = isLate;
  }

  /** Shows what is known, once for each picture that the screen draws. */
  private show(): void {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.model !== null) this.listener.onModel(this.model);
    });
  }

  private async fetchAll(): Promise<boolean> {
    try {
      const answer = await fetch(api("trial-table"));
      if (answer.ok) {
        const { trials, place, ...head } = (await answer.json()) as Snapshot;
        this.model = begin(head, trialsOf(trials), Date.now());
        this.place = place;
        this.listener.onModel(this.model);
        return true;
      }
      if (answer.status === 401) {
        this.say("refused");
        return false;
      }
    } catch {
      // no answer: told below
    }
    this.retry();
    return false;
  }

  private retry(): void {
    this.say("lost");
    this.again = window.setTimeout(() => void this.open(), RETRY_MILLISECONDS);
  }

  private async failed(source: EventSource): Promise<void> {
    if (source !== this.source) return;
    // A broken connection is opened again by the browser; one that was answered with an error is not.
    if (source.readyState !== EventSource.CLOSED) {
      this.say("lost");
      return;
    }
    this.close();
    if ((await statusNow()) === 401) this.say("refused");
    else this.retry();
  }
}

async function statusNow(): Promise<number> {
  try {
    return (await fetch(api("check-status"))).status;
  } catch {
    return 0;
  }
}
