// Where the reader is: the page's path below the portal's start, and what stands in the query.

import { useEffect, useState } from "preact/hooks";

export interface Route {
  /** `oview`, `detail`, `trial` ... */
  page: string;
  /** What follows in the path. */
  rest: string[];
  query: URLSearchParams;
}

const CHANGED = "nni:route";

/** The address of a page of the portal, below whatever prefix it stands. */
export function href(path: string): string {
  return new URL(path, document.baseURI).href;
}

export function current(): Route {
  const start = new URL(document.baseURI).pathname;
  const [page = "oview", ...rest] = location.pathname.slice(start.length).split("/").filter(Boolean).map(decoded);
  return { page, rest, query: new URLSearchParams(location.search) };
}

/** A part of a path without its escapes; as it stands where these are none. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function go(path: string): void {
  history.pushState(null, "", href(path));
  window.scrollTo(0, 0);
  dispatchEvent(new Event(CHANGED));
}

/** Changes the query of this page's address, without a step in the browser's history; null takes a name out. */
export function setQuery(changes: Record<string, string | readonly string[] | null>): void {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    url.searchParams.delete(name);
    for (const its of typeof value === "string" ? [value] : (value ?? [])) url.searchParams.append(name, its);
  }
  history.replaceState(null, "", url.href);
  dispatchEvent(new Event(CHANGED));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(current);
  useEffect(() => {
    const read = (): void => setRoute(current());
    addEventListener("popstate", read);
    addEventListener(CHANGED, read);
    document.addEventListener("click", follow);
    return () => {
      removeEventListener("popstate", read);
      removeEventListener(CHANGED, read);
      document.removeEventListener("click", follow);
    };
  }, []);
  return route;
}

/** Follows links within the portal without loading the page anew. */
function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest("a");
  if (!link || link.target || link.hasAttribute("download")) return;
  const url = new URL(link.href);
  const start = new URL(document.baseURI);
  if (url.origin !== start.origin || !url.pathname.startsWith(start.pathname)) return;
  if (url.pathname.slice(start.pathname.length).startsWith("api/")) return;
  event.preventDefault();
  go(url.href);
}
