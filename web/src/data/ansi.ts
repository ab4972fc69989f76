// The colours of a terminal in a log's lines.

export interface Piece {
  text: string;
  /** Names of classes: `fg1`, `bold`. */
  style: string;
}

const ESCAPE = /\u001b\[([0-9;]*)m/g;
/** Every other control sequence: moving the cursor, setting a window's title, erasing. */
const OTHER = /\u001b(?:\[[0-?]*[ -/]*[@-ln-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[()][A-Z0-9]|[=>NOM78])/g;

interface State {
  colour: number | null;
  isBold: boolean;
  isDim: boolean;
}

/** Splits a line at its changes of colour; what a carriage return wrote over is left out. */
export function pieces(line: string): Piece[] {
  const shown = lastWritten(line).replace(OTHER, "");
  const found: Piece[] = [];
  const state: State = { colour: null, isBold: false, isDim: false };
  let from = 0;
  for (const match of shown.matchAll(ESCAPE)) {
    add(found, shown.slice(from, match.index), state);
    turn(state, match[1] ?? "");
    from = match.index + match[0].length;
  }
  add(found, shown.slice(from), state);
  return found;
}

/** A line without its colours. */
export function plain(line: string): string {
  return pieces(line)
    .map(({ text }) => text)
    .join("");
}

/** Progress bars write over themselves: the last text after a carriage return counts. */
function lastWritten(line: string): string {
  const parts = line.split("\r").filter((part) => part !== "");
  return parts[parts.length - 1] ?? "";
}

function add(found: Piece[], text: string, state: State): void {
  if (text === "") return;
  const classes = [
    state.colour === null ? "" : `fg${state.colour}`,
    state.isBold ? "bold" : "",
    state.isDim ? "dim" : "",
  ];
  found.push({ text, style: classes.filter(Boolean).join(" ") });
}

function turn(state: State, codes: string): void {
  for (const code of codes.split(";").map(Number)) {
    if (code === 0) Object.assign(state, { colour: null, isBold: false, isDim: false });
    else if (code === 1) state.isBold = true;
    else if (code === 2) state.isDim = true;
    else if (code === 22) state.isBold = state.isDim = false;
    else if (code === 39) state.colour = null;
    else if (code >= 30 && code <= 37) state.colour = code - 30;
    else if (code >= 90 && code <= 97) state.colour = code - 90;
    else if (code === 38 || code === 48) return; // 256 and true colours: shown without
  }
}
