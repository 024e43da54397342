/** Port of `inference/decoding.py`: logits to ranked spans that cut no word, number or unit; on flat texts. */

import {
  CLOSERS,
  decodingPatterns,
  DROPPED,
  LONE_SIGNS,
  LONGEST_GROUP,
  MAX_GAP,
  MAX_MARKS,
  MAX_STEPS,
  MAX_WIDENING,
  NEAR,
  WIDE,
} from "./generated.js";
import { compiled, endOf, Pattern } from "./patterns.js";
import type { DecodeConfig } from "./types.js";
import { isAlnum, isAlpha, isDigit, isMark, isSpace } from "./unicode.js";
import type { Window } from "./windows.js";

const P = compiled(decodingPatterns);
const BRACKETS = CLOSERS.map(([opening, closing, rest]) => ({ opening, closing, rest: new Pattern(rest) }));
const GROUPS = [
  [P.DIGIT, P.NUMBER],
  [P.RATIO_SIGN, P.UNITS],
] as const;
const JOINER = "\u200d";

/** What a model says of one window. */
export interface WindowLogits {
  /** Logit of each token to be the first of the span; position 0 stands for "no span here". */
  start: Float32Array;
  end: Float32Array;
  /** Null where the model has no such head. */
  answerability: number | null;
  /** Of yes, no, mixed and no such question; null where the model has no such head. */
  verdict: Float32Array | null;
}

/** A span in code points, with its logit. */
export interface Candidate {
  logit: number;
  start: number;
  end: number;
}

/** What a model made of one question. */
export interface RawPrediction {
  candidates: Candidate[];
  nullLogit: number;
  answerabilityLogit: number | null;
  verdictLogits: number[] | null;
}

export const EMPTY_PREDICTION: RawPrediction = {
  candidates: [],
  nullLogit: 0,
  answerabilityLogit: null,
  verdictLogits: null,
};

/** What calibration reads: answerability logit (or the margin), margin, gap, log of the length. */
export function features(prediction: RawPrediction): number[] {
  const [best, second] = prediction.candidates;
  const margin = best.logit - prediction.nullLogit;
  const gap = second === undefined ? MAX_GAP : Math.min(MAX_GAP, best.logit - second.logit);
  return [prediction.answerabilityLogit ?? margin, margin, gap, Math.log1p(best.end - best.start)];
}

/** The prediction of one question, from all its windows and a logit set for each. */
export function decode(
  context: string,
  windows: readonly Window[],
  logits: readonly WindowLogits[],
  config: DecodeConfig,
  topK: number,
): RawPrediction {
  const byWindow = windows.map((window, i) => windowCandidates(window, logits[i], config));
  const ranked = byWindow.flatMap((own, i) => own.map((candidate) => ({ candidate, window: i })));
  if (ranked.length === 0) return EMPTY_PREDICTION;
  ranked.sort((a, b) => compare(a.candidate, b.candidate));
  const verdict = logits[ranked[0].window].verdict;
  const heads = logits.map((each) => each.answerability).filter((each) => each !== null);
  return {
    candidates: nonOverlapping(context, ranked, topK),
    nullLogit: Math.min(...logits.map((each) => each.start[0] + each.end[0])),
    answerabilityLogit: heads.length > 0 ? Math.max(...heads) : null,
    verdictLogits: verdict === null ? null : Array.from(verdict),
  };
}

const compare = (a: Candidate, b: Candidate): number => b.logit - a.logit || a.start - b.start || a.end - b.end;

function windowCandidates(window: Window, logits: WindowLogits, config: DecodeConfig): Candidate[] {
  const n = window.nContextTokens;
  if (n === 0) return [];
  const start = logits.start.subarray(window.first, window.first + n);
  const end = logits.end.subarray(window.first, window.first + n);
  const firsts = largest(start, config.n_best);
  const lasts = largest(end, config.n_best);
  const pairs: [first: number, last: number, logit: number][] = [];
  for (const first of firsts) {
    for (const last of lasts) {
      const length = last - first;
      if (length >= 0 && length < config.max_answer_tokens) pairs.push([first, last, start[first] + end[last]]);
    }
  }
  if (pairs.length === 0) pairs.push([firsts[0], firsts[0], start[firsts[0]] + end[firsts[0]]]);
  return pairs
    .sort((a, b) => b[2] - a[2])
    .slice(0, 2 * config.n_best)
    .filter(([, , logit]) => logit > DROPPED / 2)
    .map(([first, last, logit]) => ({ logit, start: window.starts[first], end: window.ends[last] }));
}

/** Positions of the n largest values, ties broken by position. */
function largest(values: Float32Array, n: number): number[] {
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
  return order.slice(0, n);
}

function nonOverlapping(context: string, ranked: readonly { candidate: Candidate }[], topK: number): Candidate[] {
  const kept: Candidate[] = [];
  for (const { candidate } of ranked) {
    if (overlapsAny(kept, candidate.start, candidate.end)) continue;
    const [start, end] = wholeWords(context, candidate.start, candidate.end);
    if (start >= end || overlapsAny(kept, start, end) || isSignsOnly(context, start, end)) continue;
    kept.push({ logit: candidate.logit, start, end });
    if (kept.length === topK) break;
  }
  return kept;
}

const overlapsAny = (kept: readonly Candidate[], start: number, end: number): boolean =>
  kept.some((each) => start < each.end && each.start < end);

function isSignsOnly(context: string, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) if (!LONE_SIGNS.includes(context[i])) return false;
  return true;
}

/** The span without outer white space, widened so that it cuts no word, number or unit in half. */
export function wholeWords(context: string, first: number, last: number): [start: number, end: number] {
  let [start, end] = [first, last];
  while (start < end && isSpace(context[start])) start += 1;
  while (end > start && isSpace(context[end - 1])) end -= 1;
  if (start >= end) return [start, start];
  for (let step = 0; step < MAX_STEPS; step += 1) {
    if (start > 0 && P.DASH_OF_RANGE.match(context, start - 1) !== null) start -= 1;
    let [left, right] = wordsAround(context, start, end);
    left = groupAt(context, left)[0];
    right = groupAt(context, right)[1];
    [left, right] = wholeRange(context, left, right);
    right = endOfBracket(context, left, right);
    if (left === start && right === end) break;
    [start, end] = [left, right];
  }
  return [start, end];
}

function wordsAround(context: string, start: number, end: number): [number, number] {
  let [left, right] = [start, end];
  while (left > 0 && start - left < MAX_WIDENING && isJoined(context, left)) left -= 1;
  while (right < context.length && right - end < MAX_WIDENING && isJoined(context, right)) right += 1;
  return [start - left === MAX_WIDENING ? start : left, right - end === MAX_WIDENING ? end : right];
}

function isJoined(context: string, index: number): boolean {
  const at = context[index];
  if (marksAnother(at) || context[index - 1] === JOINER) return !(isSpace(context[index - 1]) || isSpace(at));
  const before = base(context, index - 1);
  if (isAlnum(before) && isAlnum(at)) return !(isWide(before) || isWide(at));
  if (before === "°") return isAlpha(at);
  return at === "°" && isDigit(before);
}

function groupAt(context: string, index: number): [number, number] {
  if (!(index > 0 && index < context.length)) return [index, index];
  const begin = Math.max(0, index - LONGEST_GROUP);
  const end = Math.min(context.length, index + LONGEST_GROUP);
  for (const [hint, pattern] of GROUPS) {
    if (hint.search(context, Math.max(begin, index - NEAR), Math.min(context.length, index + NEAR)) === null) continue;
    for (const match of pattern.finditer(context, begin, end)) {
      if (match.index < index && index < endOf(match)) return [withoutTag(context, match.index), endOf(match)];
    }
  }
  return [index, index];
}

function wholeRange(context: string, start: number, end: number): [number, number] {
  for (const edge of [start, end]) {
    const begin = Math.max(0, edge - LONGEST_GROUP);
    const stop = Math.min(context.length, edge + LONGEST_GROUP);
    if (P.RANGE_SIGN.search(context, begin, stop) === null) continue;
    for (const match of P.RANGE.finditer(context, begin, stop)) {
      const isCut = match.index < edge && edge < endOf(match);
      if (isCut && P.LONE_NUMBER.fullmatch(context, start, end) === null) {
        return [Math.min(start, match.index), Math.max(end, endOf(match))];
      }
    }
  }
  return [start, end];
}

function endOfBracket(context: string, start: number, last: number): number {
  let end = last;
  for (const { opening, closing, rest } of BRACKETS) {
    if (count(context, opening, start, end) > count(context, closing, start, end)) {
      const match = rest.match(context, end);
      if (match !== null) end = endOf(match);
    }
  }
  return end;
}

function count(context: string, character: string, start: number, end: number): number {
  let found = 0;
  for (let i = start; i < end; i += 1) if (context[i] === character) found += 1;
  return found;
}

function withoutTag(context: string, start: number): number {
  if (context[start] !== ">") return start;
  return P.TAG_END.search(context, Math.max(0, start - LONGEST_GROUP), start) === null ? start : start + 1;
}

function base(context: string, index: number): string {
  for (let i = index; i > Math.max(-1, index - MAX_MARKS); i -= 1) {
    if (!marksAnother(context[i])) return context[i];
  }
  return context[index];
}

const marksAnother = (character: string): boolean => character === JOINER || isMark(character);

function isWide(character: string): boolean {
  const code = character.charCodeAt(0);
  return WIDE.some(([first, last]) => first <= code && code <= last);
}
