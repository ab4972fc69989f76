// How curves side by side are told apart: by colour, and where these come round again by the pattern of the line. Pure.

/** How many colours there are: `--curve-0` and on in the style sheet. */
export const COLOURS = 6;
/** Pixels that are drawn and left out, in turn; the first line is whole. */
const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3], [16, 5]];
/** So many curves have a look of their own; those beyond are grey. */
export const MOST_LOOKS = COLOURS * DASHES.length;

export interface Look {
  /** Null for grey. */
  colour: number | null;
  dash: readonly number[];
}

export function lookOf(place: number): Look {
  if (place >= MOST_LOOKS) return { colour: null, dash: [] };
  return { colour: place % COLOURS, dash: DASHES[Math.floor(place / COLOURS)] ?? [] };
}

/** The place among looks of each that is shown: what was shown before keeps its own, what comes takes the first free one. */
export function placesOf(ids: readonly string[], before: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const own = (id: string): number | undefined => {
    const place = before.get(id);
    // Grey is nobody's own: a look that becomes free is for one of these.
    return place !== undefined && place < MOST_LOOKS ? place : undefined;
  };
  const taken = new Set(ids.map(own));
  let next = 0;
  const free = (): number => {
    while (taken.has(next)) next += 1;
    return next++;
  };
  return new Map(ids.map((id) => [id, own(id) ?? free()]));
}
