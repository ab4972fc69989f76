// Small parts that every page uses.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { absolute, ago, statusWord } from "../data/format";

/** An experiment's or a trial's status: a coloured mark and a word. */
export function Status({ status }: { status: string }) {
  return (
    <span class={`status ${status}`} title={status}>
      {statusWord(status)}
    </span>
  );
}

/** A moment seen from now, with the moment itself for the pointer that rests on it. */
export function When({ time, now }: { time: number | undefined; now: number }) {
  if (time === undefined) return <>–</>;
  return (
    <time dateTime={new Date(time).toISOString()} title={absolute(time)}>
      {ago(time, now)}
    </time>
  );
}

export function Copy({ text, label, title }: { text: string | (() => Promise<string>); label: string; title?: string }) {
  const [said, setSaid] = useState("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : await text());
      setSaid("Copied");
    } catch {
      setSaid("Not copied");
    }
    window.setTimeout(() => setSaid(""), 1500);
  };
  return (
    <button type="button" class="small" title={title ?? ""} onClick={() => void copy()}>
      {said || label}
    </button>
  );
}

interface TabsProps {
  label: string;
  names: readonly (readonly [key: string, text: string])[];
  chosen: string;
  choose: (key: string) => void;
  children: ComponentChildren;
}

/** Tabs as the keyboard knows them: arrows go between them. */
export function Tabs({ label, names, chosen, choose, children }: TabsProps) {
  const move = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    const place = names.findIndex(([key]) => key === chosen);
    const next = names[(place + step + names.length) % names.length];
    if (!next) return;
    choose(next[0]);
    const list = event.currentTarget as HTMLElement;
    requestAnimationFrame(() => list.querySelector<HTMLElement>('[aria-selected="true"]')?.focus());
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
        {names.map(([key, text]) => (
          <button
            type="button"
            key={key}
            role="tab"
            id={`tab-${key}`}
            aria-selected={key === chosen}
            aria-controls="tabpanel"
            tabIndex={key === chosen ? 0 : -1}
            onClick={() => choose(key)}
          >
            {text}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="tabpanel" aria-labelledby={`tab-${chosen}`}>
        {children}
      </div>
    </>
  );
}

interface DialogProps {
  title: string;
  onClose: () => void;
  isWide?: boolean;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, isWide = false, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class={isWide ? "wide-dialog" : ""}
      aria-labelledby="dialog-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog-inner">
        <div class="bar">
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="small" aria-label="Close" onClick={() => dialog.current?.close()}>
            ✕
          </button>
        </div>
        {children}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  verb: string;
  onYes: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}

export function Confirm({ title, verb, onYes, onClose, children }: ConfirmProps) {
  const { run, error, isBusy } = useCommand(onClose);
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      {error && <p class="notice bad">{error}</p>}
      <p class="actions">
        <button type="button" class="strong bad" disabled={isBusy} onClick={() => run(onYes)}>
          {verb}
        </button>
        <button type="button" onClick={onClose}>
          Not now
        </button>
      </p>
    </Dialog>
  );
}

/** Runs a command and keeps what went wrong with it. */
export function useCommand(onDone: () => void): {
  run: (command: () => Promise<void>) => void;
  error: string | null;
  isBusy: boolean;
} {
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const run = (command: () => Promise<void>): void => {
    setBusy(true);
    setError(null);
    command().then(
      () => {
        setBusy(false);
        onDone();
      },
      (reason: unknown) => {
        setBusy(false);
        setError(reason instanceof Error ? reason.message : String(reason));
      },
    );
  };
  return { run, error, isBusy };
}

export interface Fetched<T> {
  value: T | null;
  error: string | null;
}

/** What a function fetches, again whenever `key` changes; the last value stays until the next is there. */
export function useFetched<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Fetched<T> {
  const [fetched, setFetched] = useState<Fetched<T>>({ value: null, error: null });
  useEffect(() => {
    if (key === null) return undefined;
    const aborting = new AbortController();
    load(aborting.signal).then(
      (value) => !aborting.signal.aborted && setFetched({ value, error: null }),
      (reason: unknown) =>
        !aborting.signal.aborted &&
        setFetched((before) => ({ ...before, error: reason instanceof Error ? reason.message : String(reason) })),
    );
    return () => aborting.abort();
  }, [key]);
  return fetched;
}

/** Counts how often a value became another, but not more often than a pause in milliseconds allows. */
export function useNews(value: unknown, pause: number): number {
  const [count, setCount] = useState(0);
  const counted = useRef({ value, at: 0 });
  useEffect(() => {
    if (counted.current.value === value) return undefined;
    const wait = counted.current.at + pause - performance.now();
    const timer = setTimeout(() => {
      counted.current = { value, at: performance.now() };
      setCount((before) => before + 1);
    }, Math.max(0, wait));
    return () => clearTimeout(timer);
  }, [value, pause]);
  return count;
}

/** A name and a value in a list of them. */
export function Fact({ name, children }: { name: ComponentChildren; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
