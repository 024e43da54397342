// The package's own tests: what does not need the Python library beside it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { modelOf, ModelError, OffsetConverter, WordPieceTokenizer, WorkerReader } from "../dist/index.js";
import { openReader } from "../dist/node.js";

const FOLDER = process.env.QA_EXTRACTIVE_WEB_MODEL;
const TEXT = "🧬 We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg.";
const QUESTION = { question: "By how much did systolic pressure fall?", context: TEXT };

test("offsets are converted both ways", () => {
  const text = "a🧬b𝒳c";
  const offsets = new OffsetConverter(text);
  for (let i = 0; i <= 5; i += 1) assert.equal(offsets.toCodePoint(offsets.toUtf16(i)), i);
  assert.deepEqual([0, 1, 2, 3, 4, 5].map((i) => offsets.toUtf16(i)), [0, 1, 3, 4, 6, 7]);
  assert.equal(offsets.toCodePoint(2), 1, "inside a pair");
  assert.equal(new OffsetConverter("plain").toUtf16(3), 3);
});

test("an answer is a slice of its context, and answers at once do not disturb each other", async () => {
  const reader = await openReader(FOLDER);
  const [first, second, blank] = await Promise.all([
    reader.answer(QUESTION, { threshold: 0 }),
    reader.answer({ question: "How many adults were there?", context: TEXT }, { threshold: 0 }),
    reader.answer({ ...QUESTION, context: " " }),
  ]);
  for (const answer of [first, second]) {
    assert.equal(TEXT.slice(answer.start, answer.end), answer.text);
    assert.notEqual(answer.text, "");
    for (const span of [...answer.candidates, answer.sentence]) assert.equal(TEXT.slice(span.start, span.end), span.text);
  }
  assert.deepEqual(first, await reader.answer(QUESTION, { threshold: 0 }));
  assert.equal(blank.status, "not_reported");
  await assert.rejects(reader.answer({ question: " ", context: TEXT }), { name: "DataError" });
  await assert.rejects(reader.answer({ question: "Why?", context: 5 }), { name: "DataError" });
  await reader.close();
});

test("a bound on the risk raises the threshold, and excludes one", async () => {
  const bounded = await openReader(FOLDER, { maxRisk: 0.3 });
  const looser = await openReader(FOLDER, { maxRisk: 0.5 });
  assert.ok(bounded.threshold >= looser.threshold);
  await assert.rejects(openReader(FOLDER, { maxRisk: 0.3, threshold: 0.5 }), { name: "ModelError" });
  await assert.rejects(openReader(FOLDER, { maxRisk: 1e-9 }), { name: "ModelError" });
});

test("what is no model is refused with a reason", async () => {
  await assert.rejects(openReader("/nowhere"), { name: "ModelError", message: /cannot be read/ });
  const list = { format_version: 1, files: { "model.onnx": 3 } };
  assert.throws(() => modelOf(list, new Map([["model.onnx", new Uint8Array(2)]])), ModelError);
  const other = { model: { type: "BPE" }, normalizer: null, pre_tokenizer: null };
  assert.throws(() => new WordPieceTokenizer(other), /BPE/);
});

test("a worker's errors come through, and closing fails what waits", async () => {
  const worker = new EventTarget();
  worker.terminate = () => {};
  worker.postMessage = ({ id, kind }) => {
    const say = (data) => worker.dispatchEvent(new MessageEvent("message", { data: { id, ...data } }));
    if (kind !== "load") return;
    say({ kind: "progress", progress: { loaded: 1, total: 2 } });
    say({ kind: "done", value: { threshold: 0.5 } });
  };
  const seen = [];
  const onProgress = (progress) => seen.push(progress);
  const reader = await WorkerReader.load(worker, "http://localhost/model", { onProgress });
  assert.deepEqual(seen, [{ loaded: 1, total: 2 }]);
  assert.equal(reader.threshold, 0.5);
  const waiting = reader.answer(QUESTION);
  const failed = { id: 2, kind: "failed", name: "DataError", message: "too long" };
  worker.dispatchEvent(new MessageEvent("message", { data: failed }));
  await assert.rejects(waiting, { name: "DataError", message: "too long" });
  const open = reader.answer(QUESTION);
  reader.close();
  await assert.rejects(open, /closed/);
});
