// The one stream of changes: opened while the page is seen, closed while it is hidden, opened again where it was left.

import type { Change } from "./model";

export type Link =
  /** No answer yet. */
  | "connecting"
  | "live"
  /** The manager does not answer; it is tried again. */
  | "lost"
  /** The manager does not know this browser (any more). */
  | "refused";

const RETRY_MILLISECONDS = 2000;

/** Where the API is, however deep this page is. */
export function api(path: string): string {
  return new URL(`api/v1/nni/${path}`, document.baseURI).href;
}

/** Listens until the returned function is called. */
export function listen(onChange: (change: Change) => void, onLink: (link: Link) => void): () => void {
  let source: EventSource | null = null;
  let lastId = "";
  let again = 0;

  function open(): void {
    close();
    if (document.hidden) return;
    source = new EventSource(api(`events${lastId ? `?after=${encodeURIComponent(lastId)}` : ""}`));
    source.addEventListener("open", () => onLink("live"));
    source.addEventListener("change", (event: MessageEvent<string>) => {
      if (event.lastEventId) lastId = event.lastEventId;
      onChange(JSON.parse(event.data) as Change);
    });
    source.addEventListener("error", () => void failed());
  }

  function close(): void {
    window.clearTimeout(again);
    source?.close();
    source = null;
  }

  async function failed(): Promise<void> {
    const isRefused = source?.readyState === EventSource.CLOSED && (await answers()) === 401;
    onLink(isRefused ? "refused" : "lost");
    // A broken connection is opened again by the browser; one that was answered with an error is not.
    if (source?.readyState === EventSource.CLOSED && !isRefused) again = window.setTimeout(open, RETRY_MILLISECONDS);
  }

  const onVisibility = (): void => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", onVisibility);
  open();
  return () => {
    document.removeEventListener("visibilitychange", onVisibility);
    close();
  };
}

async function answers(): Promise<number> {
  try {
    return (await fetch(api("check-status"))).status;
  } catch {
    return 0;
  }
}
