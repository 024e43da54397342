// Answers JSON lines with JSON lines, for tests/web/ and benchmarks/browser.py, which compare with Python.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { wholeWords } from "../dist/decoding.js";
import { openReader } from "../dist/node.js";
import { splitSentences } from "../dist/sentences.js";
import { flat } from "../dist/text.js";
import { WordPieceTokenizer } from "../dist/tokenizer.js";
import * as unicode from "../dist/unicode.js";
import { Windower } from "../dist/windows.js";

const folder = process.argv[2];
const json = (name) => JSON.parse(readFileSync(join(folder, name), "utf-8"));
const once = (make) => {
  let made;
  return () => (made ??= make());
};
const tokenizer = once(() => new WordPieceTokenizer(json("tokenizer.json")));
const windower = once(() => new Windower(tokenizer(), json("reader.json").window));
const reader = once(() => openReader(folder));

const kinds = {
  encode: ({ text }) => tokenizer().encode(text),
  classes: ({ text }) => {
    const { isSpace, isMark, isAlnum, isAlpha, isLower, isUpper, isDigit } = unicode;
    const tests = [isSpace, isMark, isAlnum, isAlpha, isLower, isUpper, isDigit];
    return Array.from(flat(text), (character) => tests.map((test) => Number(test(character))).join(""));
  },
  sentences: ({ text }) => splitSentences(flat(text)),
  whole: ({ text, spans }) => spans.map(([start, end]) => wholeWords(flat(text), start, end)),
  windows: ({ question }) => windower().windows(question),
  answer: async ({ question, options }) => {
    const began = performance.now();
    const answer = await (await reader()).answer(question, options);
    return { answer, seconds: (performance.now() - began) / 1000 };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let reply;
  try {
    reply = { value: await kinds[request.kind](request) };
  } catch (error) {
    reply = { error: error.name, message: error.message };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
