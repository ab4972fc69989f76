// A log: its end, as it grows, with the colours of a terminal, a search, and the whole file to download.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { pieces, plain } from "../data/ansi";
import { bytes, plural } from "../data/format";
import { api, BACK } from "../data/live";
import { RefusedError } from "../data/rest";
import { readOn, Tail } from "../data/tail";

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
  const { lines, skipped, error, isCut, isKnown } = useTail(path, isLive);
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
        <span class="hint" role="status">
          {isCut && "The connection was cut: reconnecting"}
        </span>
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
        <p class="empty">{lines.length > 0 ? "No line has this." : isKnown ? empty : !error && "Loading"}</p>
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
  /** Whether there is no connection just now, though there should be one. */
  isCut: boolean;
  /** Whether it is known what the file holds. */
  isKnown: boolean;
}

const NOTHING: Tailed = { lines: [], skipped: 0, error: null, isCut: false, isKnown: false };

/** Whether there is no such file: what stands in place of lines says so already. */
const isAbsent = (reason: unknown): boolean => reason instanceof RefusedError && reason.status === 404;

/**
 * Reads a file's end, and follows it while it may grow and the page is seen: a browser has six connections to a
 * manager, for all of its tabs together.
 */
function useTail(path: string, isLive: boolean): Tailed {
  const [tailed, setTailed] = useState(NOTHING);
  const kept = useRef<Tail | null>(null);
  useEffect(() => {
    const tail = kept.current?.path === path ? kept.current : new Tail(path);
    if (kept.current !== tail) setTailed(NOTHING);
    kept.current = tail;
    let reading: AbortController | null = null;
    let isRead = false;
    let frame = 0;
    const show = (): void => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setTailed({ lines: tail.lines.all(), skipped: tail.skipped, error: null, isCut: false, isKnown: true });
      });
    };
    const tell = (news: Partial<Tailed>): void => {
      cancelAnimationFrame(frame);
      frame = 0;
      setTailed((before) => ({ ...before, lines: tail.lines.all(), skipped: tail.skipped, error: null, isCut: false, ...news }));
    };
    const begin = (): void => {
      if (reading || isRead || document.hidden) return;
      const { signal } = (reading = new AbortController());
      readOn(tail, isLive, signal, show, () => tell({ isCut: true })).then(
        () => (isRead = true),
        (reason: unknown) => signal.aborted || tell(isAbsent(reason) ? { isKnown: true } : { error: reason instanceof Error ? reason.message : String(reason) }),
      );
    };
    const end = (): void => {
      reading?.abort();
      reading = null;
    };
    const turn = (): void => (document.hidden ? end() : begin());
    const again = (): void => (end(), begin());
    begin();
    document.addEventListener("visibilitychange", turn);
    addEventListener(BACK, again);
    return () => {
      end();
      cancelAnimationFrame(frame);
      document.removeEventListener("visibilitychange", turn);
      removeEventListener(BACK, again);
    };
  }, [path, isLive]);
  return tailed;
}
