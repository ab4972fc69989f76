import { expect, it } from "vitest";
import { HIDDEN, withoutSecrets } from "./hidden";

it.each<[unknown, unknown]>([
  [{ env: { HF_TOKEN: "abc", EPOCHS: "3" } }, { env: { HF_TOKEN: HIDDEN, EPOCHS: "3" } }],
  [{ env: [{ name: "DB_PASSWORD", value: "abc" }, { name: "MODE", value: "fast" }] }, { env: [{ name: "DB_PASSWORD", value: HIDDEN }, { name: "MODE", value: "fast" }] }],
  [{ HF_TOKEN: { secretKeyRef: { name: "hub", key: "token" } } }, { HF_TOKEN: { secretKeyRef: { name: "hub", key: "token" } } }],
  [{ secretName: "azure", imagePullSecrets: ["hub"], keyVaultKey: "storage" }, { secretName: "azure", imagePullSecrets: ["hub"], keyVaultKey: "storage" }],
  ["WANDB_API_KEY=abc python3 train.py --token def --lr 0.1", `WANDB_API_KEY=${HIDDEN} python3 train.py --token ${HIDDEN} --lr 0.1`],
  ["python3 token counter.py", "python3 token counter.py"],
  ["pip install git+https://me:abc@git.example/x", `pip install git+https://me:${HIDDEN}@git.example/x`],
  [[1, null, true, "text"], [1, null, true, "text"]],
])("%j", (given, expected) => expect(withoutSecrets(given)).toEqual(expected));
