// A trial of the user's own: the parameters of another one, changed.

import { useState } from "preact/hooks";
import { parse } from "../data/values";
import { addTrial, detail } from "../data/rest";
import type { Trial } from "../data/model";
import { Dialog, useCommand, useFetched } from "./small";

export function Clone({ trial, onClose, onAdded }: { trial: Trial; onClose: () => void; onAdded: (number: number) => void }) {
  const { value, error } = useFetched(trial.trialJobId, (signal) => detail(trial.trialJobId, signal));
  return (
    <Dialog title={`New trial from ${trial.trialJobId}`} onClose={onClose}>
      {error && <p class="notice bad">{error}</p>}
      {value && <Form text={parametersText(value.hyperParameters[0] ?? "{}")} onClose={onClose} onAdded={onAdded} />}
    </Dialog>
  );
}

interface FormProps {
  text: string;
  onClose: () => void;
  onAdded: (number: number) => void;
}

function Form({ text: first, onClose, onAdded }: FormProps) {
  const [text, setText] = useState(first);
  const { run, error, isBusy } = useCommand(onClose);
  const read = parse(text);
  const isObject = typeof read === "object" && read !== null && !Array.isArray(read);
  return (
    <>
      <p class="hint">
        <label for="parameters">Parameters as JSON. The tuner learns of the result as of any other.</label>
      </p>
      <textarea
        id="parameters"
        rows={Math.min(18, text.split("\n").length + 1)}
        spellcheck={false}
        value={text}
        aria-invalid={!isObject}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {!isObject && <p class="notice bad">This is not a JSON object of parameters by their names.</p>}
      {error && <p class="notice bad">{error}</p>}
      <p class="actions">
        <button
          type="button"
          class="strong"
          disabled={!isObject || isBusy}
          onClick={() => run(async () => onAdded(await addTrial(text)))}
        >
          Add trial
        </button>
        <button type="button" onClick={onClose}>
          Not now
        </button>
      </p>
    </>
  );
}

/** The parameters of a trial as text to change, with every digit as the tuner gave it. */
export function parametersText(hyperParameters: string): string {
  const named = parse(hyperParameters) as { parameters?: unknown } | null;
  return JSON.stringify(named?.parameters ?? {}, null, 2);
}
