// The part of an axis that is chosen, moved by keys. Pure.

/** From the lower end, 0, to the upper one, 1. */
export type Brush = readonly [low: number, high: number];

const STEP = 0.05;
const LEAST = 0.02;

/**
 * Returns what a key makes of a brush: an arrow chooses the half that it points to, then moves it; with shift it makes it
 * larger (up) or smaller (down); escape lets go. Undefined for other keys.
 */
export function brushed(brush: Brush | undefined, key: string, isShifted: boolean): Brush | null | undefined {
  if (key === "Escape" || key === "Delete") return null;
  const direction = key === "ArrowUp" ? 1 : key === "ArrowDown" ? -1 : 0;
  if (direction === 0) return undefined;
  if (!brush) return direction > 0 ? [0.5, 1] : [0, 0.5];
  const [low, high] = brush;
  if (isShifted) {
    const by = direction * STEP;
    if (high - low + 2 * by < LEAST) return brush;
    return [Math.max(0, low - by), Math.min(1, high + by)];
  }
  // It keeps its size at the ends.
  const by = direction > 0 ? Math.min(STEP, 1 - high) : -Math.min(STEP, low);
  return [low + by, high + by];
}
