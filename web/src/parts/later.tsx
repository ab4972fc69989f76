// A part whose files come when it is first shown.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { loadAnew } from "../data/reload";

/** The component that `load` brings; null until it is there. `load` stays the same. */
export function useLater<P>(load: () => Promise<ComponentType<P>>, isWanted = true): ComponentType<P> | null {
  const [Loaded, setLoaded] = useState<ComponentType<P> | null>(null);
  useEffect(() => {
    if (!isWanted) return undefined;
    const leaving = new AbortController();
    load().then(
      (component) => leaving.signal.aborted || setLoaded(() => component),
      () => loadAnew(leaving.signal),
    );
    return () => leaving.abort();
  }, [load, isWanted]);
  return Loaded;
}
