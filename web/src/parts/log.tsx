// A log: its end, as it grows, with the colours of a terminal, a search, and the whole file to download.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { pieces, plain } from "../data/ansi";
import { bytes, plural } from "../data/format";
import { api } from "../data/live";
import { follow, Lines } from "../data/tail";

interface Props {
  /** Below the API: `trial-file/abcde/1/master-0/stdout`. */
  path: string;
  /** Whether it may still grow. */
  isLive: boolean;
  empty: string;
  /** Whether a line is to be shown; all are when it is left out. */
  keep?: (line: string) => boolean;
  keepKey?: string;
  height?: number;
}

const LINE = 18;
const BEYOND = 20;

export function Log({ path, isLive, empty, keep, keepKey = "", height = 480 }: Props) {
  const [search, setSearch] = useState("");
  const [isFollowing, setFollowing] = useState(true);
  const { lines, skipped, error } = useTail(path, isLive);
  const wanted = search.toLowerCase();
  const shown = useMemo(
    () => lines.filter((line) => (!keep || keep(line)) && (wanted === "" || plain(line).toLowerCase().includes(wanted))),
    [lines, wanted, keepKey],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    if (isFollowing && scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  }, [shown, isFollowing]);
  const seen = Math.ceil(height / LINE);
  const first = Math.max(0, Math.floor(top / LINE) - BEYOND);
  const last = Math.min(shown.length, first + seen + 2 * BEYOND);
  const widest = useMemo(() => shown.reduce((most, line) => Math.max(most, line.length), 0), [shown]);
  return (
    <div class="log">
      <div class="filter">
        <input
          type="search"
          class="search"
          placeholder="Search"
          aria-label="Search the log"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <span class="hint">{wanted === "" ? plural(shown.length, "line") : `${shown.length} of ${plural(lines.length, "line")}`}</span>
        <span class="gap" />
        <label class="option">
          <input type="checkbox" checked={isFollowing} onChange={(event) => setFollowing(event.currentTarget.checked)} />
          Follow
        </label>
        <a class="small" href={api(`${path}?download`)} download="">
          Download
        </a>
      </div>
      {error && <p class="notice bad">{error}</p>}
      {skipped > 0 && <p class="hint">{bytes(skipped)} before this are left out; download the file for all of it.</p>}
      {shown.length === 0 ? (
        <p class="empty">{lines.length === 0 ? empty : "No line has this."}</p>
      ) : (
        <div
          class="lines"
          ref={scroller}
          tabIndex={0}
          role="log"
          aria-label="Log"
          aria-live="off"
          style={{ height: `${Math.min(height, shown.length * LINE + 20)}px` }}
          onScroll={(event) => {
            const its = event.currentTarget;
            setTop(its.scrollTop);
            setFollowing(its.scrollTop + its.clientHeight >= its.scrollHeight - LINE);
          }}
        >
          <div style={{ height: `${shown.length * LINE}px`, minWidth: `${widest}ch` }}>
            <div style={{ transform: `translateY(${first * LINE}px)` }}>
              {shown.slice(first, last).map((line, place) => (
                <div class={`line ${levelOf(line)}`} key={first + place}>
                  {pieces(line).map(({ text, style }, its) => (
                    <span key={its} class={style}>
                      {text}
                    </span>
                  ))}
                </div>
              ))}
            </div>
          </div>
        </div>
      )}
    </div>
  );
}

const LEVEL = /^\S+ \S+ (WARNING|ERROR|CRITICAL) /;

/** The level that Python's logging gave a line, where it is worth a colour. */
const levelOf = (line: string): string => LEVEL.exec(line)?.[1] ?? "";

interface Tailed {
  lines: string[];
  skipped: number;
  error: string | null;
}

/** Reads a file's end, and follows it while it may grow and the page is seen. */
function useTail(path: string, isLive: boolean): Tailed {
  const [tailed, setTailed] = useState<Tailed>({ lines: [], skipped: 0, error: null });
  useEffect(() => {
    const aborting = new AbortController();
    let lines = new Lines();
    let skipped = 0;
    let frame = 0;
    const show = (): void => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setTailed({ lines: lines.all(), skipped, error: null });
      });
    };
    setTailed({ lines: [], skipped: 0, error: null });
    let isFirst = true;
    follow(
      path,
      isLive,
      aborting.signal,
      (tail) => {
        lines = new Lines();
        skipped = tail.skipped;
      },
      (text) => {
        lines.add(text);
        if (isFirst && skipped > 0) lines.skipFirst();
        isFirst = false;
        show();
      },
    ).catch((reason: unknown) => {
      if (aborting.signal.aborted) return;
      setTailed((before) => ({ ...before, error: reason instanceof Error ? reason.message : String(reason) }));
    });
    return () => {
      aborting.abort();
      cancelAnimationFrame(frame);
    };
  }, [path, isLive]);
  return tailed;
}
