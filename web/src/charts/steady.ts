import { useEffect, useRef, useState } from "preact/hooks";

/** The latest value, but a new one only so often: what is costly to draw follows a fast stream at its own pace. */
export function useSteady<T>(value: T, milliseconds: number): T {
  const [shown, setShown] = useState(value);
  const latest = useRef(value);
  const due = useRef(0);
  const drawnAt = useRef(0);
  latest.current = value;
  useEffect(() => {
    if (due.current !== 0 || value === shown) return;
    const wait = Math.max(0, drawnAt.current + milliseconds - performance.now());
    due.current = window.setTimeout(() => {
      due.current = 0;
      drawnAt.current = performance.now();
      setShown(latest.current);
    }, wait);
  }, [value, shown]);
  useEffect(() => () => window.clearTimeout(due.current), []);
  return shown;
}
