// Answers as text to take along: on the clipboard and as a file.

import { ANSWERED, bestOf, nameOf, outcome, verdictOf } from "./answers.js";

const COLUMNS = [
  "question", "paper", "status", "answer", "closest", "sentence", "answerable", "score", "start", "end",
  "verdict", "verdict_score",
];

function rows(question, results) {
  const lines = results.map((result) => {
    const { answer } = result;
    const best = bestOf(answer);
    const span = answer.status === ANSWERED ? answer : best;
    const numbers = [answer.answerable, answer.score].map((each) => each.toFixed(4));
    const place = span ? [span.start, span.end] : ["", ""];
    const sentence = answer.sentence?.text ?? "";
    const verdict = verdictOf(answer) ? [answer.verdict, answer.verdict_score.toFixed(4)] : ["", ""];
    const found = [answer.status, answer.text, best?.text ?? "", sentence];
    return [question, nameOf(result), ...found, ...numbers, ...place, ...verdict];
  });
  return [COLUMNS, ...lines].map((line) => line.map(String));
}

// A spreadsheet takes a cell that begins like a formula for one; "-3 %" and "+0.5" are figures.
const harmless = (cell) => (/^[=@\t\r]|^[+-](?![\d.,\s])/.test(cell) ? `'${cell}` : cell);

const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

// With the mark by which Excel knows UTF-8, and line ends as RFC 4180 has them.
export function csvOf(rows) {
  const lines = rows.map((line) => line.map((cell) => quoted(harmless(String(cell ?? "")))).join(","));
  return `\ufeff${lines.join("\r\n")}\r\n`;
}

export const csv = (question, results) => csvOf(rows(question, results));

// Tabs between cells: what a spreadsheet takes apart when it is pasted.
export function pasteable(question, results) {
  const flat = (cell) => harmless(cell).replaceAll(/\s+/g, " ");
  return rows(question, results).map((line) => line.map(flat).join("\t")).join("\n");
}

// One answer with where it is from.
export function citation(result) {
  const { answer } = result;
  const sentence = answer.sentence && answer.sentence.text !== answer.text ? `“${answer.sentence.text}”` : "";
  return [outcome(answer), sentence, nameOf(result)].filter(Boolean).join("\n");
}

export const download = (text, name) => saveBlob(new Blob([text], { type: "text/csv;charset=utf-8" }), name);

export function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Browsers give the clipboard only to pages of https and of the own machine; elsewhere the old way must do.
export async function copy(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // not allowed: the old way
    }
  }
  const held = document.activeElement;
  const box = document.createElement("textarea");
  box.value = text;
  box.className = "offscreen";
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  held?.focus();
  return done;
}
