// What is done when a file of the portal's own does not come: a browser remembers that, and does not ask for it again.

import { api } from "./live";

const AGAIN_MILLISECONDS = 2000;
/** A file that is missing again so soon is not there. */
const SOON_MILLISECONDS = 30_000;
const LAST = "nni-loaded-anew";

/** Waits until the manager answers, then loads the whole page again; returns false when that has not helped. */
export async function loadAnew(leaving: AbortSignal): Promise<boolean> {
  while (!(await answers())) {
    await new Promise((go) => setTimeout(go, AGAIN_MILLISECONDS));
    if (leaving.aborted) return true;
  }
  if (leaving.aborted) return true;
  const last = Number(sessionStorage.getItem(LAST) ?? 0);
  if (Date.now() - last < SOON_MILLISECONDS) return false;
  sessionStorage.setItem(LAST, String(Date.now()));
  location.reload();
  return true;
}

async function answers(): Promise<boolean> {
  try {
    await fetch(api("check-status"));
    return true;
  } catch {
    return false;
  }
}
