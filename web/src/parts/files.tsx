// The files of a trial on the volume: browse, look, download.

import { useEffect, useState } from "preact/hooks";
import { bytes } from "../data/format";
import { api } from "../data/live";
import { ask, get, type Entry, type Listing } from "../data/rest";
import { Copy, useFetched, When } from "./small";

interface Props {
  trial: string;
  now: number;
  /** Changes when there may be new files. */
  moment: string;
}

export function Files({ trial, now, moment }: Props) {
  const [path, setPath] = useState("");
  const [open, setOpen] = useState<string | null>(null);
  const [again, setAgain] = useState(0);
  const enter = (to: string): void => {
    setPath(to);
    setOpen(null);
  };
  const parts = path.split("/").filter(Boolean);
  return (
    <>
      <div class="filter">
        <nav class="path" aria-label="Directory">
          <button type="button" class="small" onClick={() => enter("")}>
            {trial}
          </button>
          {parts.map((part, place) => (
            <span key={place}>
              /
              <button type="button" class="small" onClick={() => enter(parts.slice(0, place + 1).join("/"))}>
                {part}
              </button>
            </span>
          ))}
        </nav>
        <span class="gap" />
        <button type="button" class="small" onClick={() => setAgain(again + 1)}>
          Look again
        </button>
        <a class="small" href={api(`trial-archive/${trial}`)} download="">
          Download all (tar)
        </a>
      </div>
      <Folder key={path} trial={trial} path={path} now={now} moment={`${moment} ${again}`} enter={enter} open={setOpen} />
      {open !== null && <Preview trial={trial} path={open} key={open} onClose={() => setOpen(null)} />}
    </>
  );
}

interface FolderProps {
  trial: string;
  path: string;
  now: number;
  moment: string;
  enter: (path: string) => void;
  open: (path: string) => void;
}

/** One directory; each has an element of its own, so that none shows what is in another while it is fetched. */
function Folder({ trial, path, now, moment, enter, open }: FolderProps) {
  const { value, error } = useFetched(`${trial} ${path} ${moment}`, (signal) =>
    get<Listing>(`trial-files/${trial}?path=${encodeURIComponent(path)}`, signal),
  );
  return (
    <>
      {value?.url && (
        <p class="hint address">
          {value.url} <Copy label="Copy address" title={value.url} text={value.url} />
        </p>
      )}
      {error && <p class="notice bad">{error}</p>}
      {!value && !error && <Waiting />}
      {value && value.files.length === 0 && (
        <p class="empty">Nothing here yet. Files appear as the trial's pods write logs and output to the volume.</p>
      )}
      {value && value.files.length > 0 && (
        <div class="table" tabIndex={0} role="region" aria-label="Files">
          <table class="files">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col" class="number">
                  Size
                </th>
                <th scope="col">Changed</th>
                <th scope="col">
                  <span class="unseen">Download</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {value.files.map((entry) => (
                <Row key={entry.name} trial={trial} entry={entry} below={path} now={now} enter={enter} open={open} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

const SLOW = 1500;

/** What stands in the place of files that are on their way. */
function Waiting() {
  const [isSlow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW);
    return () => clearTimeout(timer);
  }, []);
  return (
    <p class="hint" role="status">
      Loading
      {isSlow && ": files on a claim that the manager has not mounted are fetched by a pod, which may have to start first."}
    </p>
  );
}

interface RowProps {
  trial: string;
  entry: Entry;
  below: string;
  now: number;
  enter: (path: string) => void;
  open: (path: string) => void;
}

const encoded = (path: string): string => path.split("/").map(encodeURIComponent).join("/");

function Row({ trial, entry, below, now, enter, open }: RowProps) {
  const path = below === "" ? entry.name : `${below}/${entry.name}`;
  return (
    <tr>
      <td>
        <button type="button" class="plain" onClick={() => (entry.isDirectory ? enter(path) : open(path))}>
          {entry.name}
          {entry.isDirectory && "/"}
        </button>
      </td>
      <td class="number">{entry.isDirectory ? "" : bytes(entry.size)}</td>
      <td>
        <When time={entry.modifiedTime} now={now} />
      </td>
      <td>
        {!entry.isDirectory && (
          <a href={api(`trial-file/${trial}/${encoded(path)}?download`)} download="" aria-label={`Download ${entry.name}`}>
            Download
          </a>
        )}
      </td>
    </tr>
  );
}

const MOST_BYTES = 256 * 1024;
const MOST_ROWS = 200;
const IMAGE = /\.(png|jpe?g|gif|webp)$/i;

function Preview({ trial, path, onClose }: { trial: string; path: string; onClose: () => void }) {
  const address = `trial-file/${trial}/${encoded(path)}`;
  return (
    <div class="preview">
      <div class="bar">
        <h3>{path}</h3>
        <button type="button" class="small" aria-label="Close the preview" onClick={onClose}>
          ✕
        </button>
      </div>
      {IMAGE.test(path) ? <img src={api(address)} alt={path} /> : <Text address={address} isTable={path.endsWith(".csv")} />}
    </div>
  );
}

function Text({ address, isTable }: { address: string; isTable: boolean }) {
  const { value, error } = useFetched(address, async (signal) => {
    const answer = await ask(`${address}?limit=${MOST_BYTES}`, { signal });
    return { text: await answer.text(), size: Number(answer.headers.get("X-Size") ?? 0) };
  });
  if (error) return <p class="notice bad">{error}</p>;
  if (!value) return <Waiting />;
  if (value.text === "") return <p class="hint">The file is empty.</p>;
  if (value.text.slice(0, 8000).includes("\u0000")) return <p class="hint">This is no text: download it to look inside.</p>;
  return (
    <>
      {isTable ? <Csv text={value.text} /> : <pre tabIndex={0}>{value.text}</pre>}
      {value.size > MOST_BYTES && <p class="hint">The first {bytes(MOST_BYTES)} of {bytes(value.size)}.</p>}
    </>
  );
}

function Csv({ text }: { text: string }) {
  const [head = [], ...rows] = readCsv(text, MOST_ROWS + 1);
  return (
    <div class="table" tabIndex={0} role="region" aria-label="Table">
      <table class="csv">
        <thead>
          <tr>
            {head.map((name, place) => (
              <th scope="col" key={place}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, place) => (
            <tr key={place}>
              {row.map((value, column) => (
                <td key={column}>{value}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The first rows of CSV as RFC 4180 has it. */
export function readCsv(text: string, most: number): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const token = /(?:"((?:[^"]|"")*)"|([^,"\r\n]*))(,|\r\n|\n|$)/gy;
  for (let match = token.exec(text); match !== null && rows.length < most; match = token.exec(text)) {
    row.push(match[1] === undefined ? (match[2] ?? "") : match[1].replaceAll('""', '"'));
    if (match[3] !== ",") {
      rows.push(row);
      row = [];
      if (token.lastIndex >= text.length) break;
    }
  }
  return rows;
}
