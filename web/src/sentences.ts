/** Port of `_utils/sentences.py`: the sentences of a text, on flat texts, with their offsets. */

import * as generated from "./generated.js";
import { LABEL, LOOK_BACK, MAX_ENUMERATOR, MAX_HEADING, MAX_ITEMS, OPENERS } from "./generated.js";
import { compiled, endOf, Pattern } from "./patterns.js";
import { isAlpha, isDigit, isLower, isSpace, isUpper, strip, stripEnd, stripStart } from "./unicode.js";

const P = compiled(generated.sentencesPatterns);
const LABEL_AT = new Pattern(LABEL);
const NEVER_LAST = new Set(generated.NEVER_LAST);
const BEFORE_NAMES = new Set(generated.BEFORE_NAMES);
const BEFORE_NUMBERS = new Set(generated.BEFORE_NUMBERS);
const BEFORE_AMOUNTS = new Set(generated.BEFORE_AMOUNTS);
const UNITS_OF_TIME = new Set(generated.UNITS_OF_TIME);
const ALWAYS_NUMBERED = new Set(generated.ALWAYS_NUMBERED);
const BULLETS = new Set(generated.BULLETS);
const SURE_BULLETS = new Set(generated.SURE_BULLETS);

/** First offset and the one after the last. */
export type Range = readonly [start: number, end: number];

/** The sentences of a text, in order, without white space around them. */
export function splitSentences(text: string): Range[] {
  const sentences: Range[] = [];
  const uncased = isUncased(text);
  let start = 0;
  for (const match of P.BOUNDARY.finditer(text)) {
    if (isBoundary(text, start, match, uncased)) {
      append(sentences, text, start, endOf(match));
      start = endOf(match);
    }
  }
  append(sentences, text, start, text.length);
  return sentences;
}

/** The sentence, or the run of sentences, that holds a span. */
export function sentenceAt(text: string, start: number, end: number): Range {
  const touched = splitSentences(text).filter(([first, last]) => first < end && start < last);
  if (touched.length === 0) return [start, end];
  return [Math.min(start, touched[0][0]), Math.max(end, touched[touched.length - 1][1])];
}

function isUncased(text: string): boolean {
  const first = P.FIRST_WORD.match(text);
  if (first === null || !isLower(first[1][0]) || P.SMALL_START.match(first[1]) !== null) return false;
  return P.CASED_START.search(text) === null;
}

interface Stop {
  before: string;
  token: string;
  mark: string;
  following: string;
  isBracketed: boolean;
}

function isBoundary(text: string, start: number, match: RegExpExecArray, uncased: boolean): boolean {
  const mark = match[0];
  if (mark[0] === "\n") return endsAtLine(text, start, match);
  if ("。！？".includes(mark[0])) return true;
  const rest = P.FOLLOWING.match(text, endOf(match));
  const following = rest?.[1] ?? "";
  if (rest === null || following === "") return true;
  if (!canBegin(following, uncased)) {
    return "!?".includes(mark[0]) && "!?".includes(mark[mark.length - 1]) && isLower(following[0]);
  }
  if (mark[0] !== "." || mark.startsWith("..")) return true;
  const stop = match.index;
  if (stop - start <= MAX_ENUMERATOR && P.ENUMERATOR.fullmatch(stripStart(text.slice(start, stop)))) return false;
  const before = text.slice(Math.max(start, stop - LOOK_BACK), stop);
  const isBracketed = "([".includes(text[endOf(rest) - following.length - 1]);
  return endsAfter({ before, token: lastToken(before), mark, following, isBracketed });
}

function lastToken(before: string): string {
  if (before === "" || isSpace(before[before.length - 1])) return "";
  let at = before.length;
  while (at > 0 && !isSpace(before[at - 1])) at -= 1;
  while (at < before.length && OPENERS.includes(before[at])) at += 1;
  return before.slice(at);
}

function canBegin(following: string, uncased: boolean): boolean {
  if (isLower(following[0])) {
    return uncased || (P.SMALL_START.match(following) !== null && P.UNIT.match(following) === null);
  }
  return !".,;:)]}".includes(following[0]);
}

const beginsPlainly = (stop: Stop): boolean => P.STARTS_SENTENCE.match(stop.following) !== null;

function endsAfter(stop: Stop): boolean {
  const last = stop.token[stop.token.length - 1];
  if (last === undefined || "<>=≤≥".includes(last)) return !isDigit(stop.following[0]);
  if (isDigit(last)) return !isNumberCut(stop.before, stop.following);
  if (stop.token.length === 1 && isUpper(stop.token)) return endsAfterCapital(stop);
  return endsAfterWord(stop);
}

function isNumberCut(before: string, following: string): boolean {
  if (P.FIRST_ITEM.search(before)) return true;
  if (!isDigit(following[0])) return false;
  if (P.LONE_ZERO.search(before) || P.COMPARED.search(before)) return true;
  if (P.COUNTED.search(before)) return false;
  return P.STATISTIC.search(before) !== null || P.GOES_ON.match(following) !== null;
}

function endsAfterCapital(stop: Stop): boolean {
  if (beginsPlainly(stop) || P.DESIGNATOR.search(stop.before.slice(0, -1))) return true;
  return !isUpper(stop.following[0]);
}

function endsAfterWord(stop: Stop): boolean {
  const { token, following } = stop;
  let word = token.toLowerCase();
  if (isUpper(token) && token.length > 1 && !isDigit(following[0])) word = token;
  if (NEVER_LAST.has(word) || token === "Ms") return false;
  const isDotted = token.includes(".") && P.DOTTED.fullmatch(token) !== null;
  if (BEFORE_NAMES.has(word) || (isDotted && isUpper(token[0]))) return beginsPlainly(stop);
  if (BEFORE_NUMBERS.has(word)) return !P.CITED.search(stop.mark) && !isNumbered(word, following);
  if (!isDotted && !BEFORE_AMOUNTS.has(word)) return true;
  if (stop.mark.endsWith(")")) return beginsPlainly(stop);
  return !stop.isBracketed && endsBefore(stop, word, isDotted);
}

function endsBefore(stop: Stop, word: string, isDotted: boolean): boolean {
  const following = stop.following;
  if (isDigit(following[0])) {
    const rest = stripEnd(stop.before.slice(0, -word.length));
    return UNITS_OF_TIME.has(word) && isDigit(rest[rest.length - 1]);
  }
  if (isDotted || word === "sp" || word === "spp") {
    return isUpper(following[0]) && (isLower(following.slice(1, 2)) || beginsPlainly(stop));
  }
  return !isLower(following[0]) || word === "etc";
}

function isNumbered(word: string, following: string): boolean {
  if (ALWAYS_NUMBERED.has(word)) return isDigit(following[0]);
  return P.NUMBERING.match(following) !== null || P.LETTERED.match(following) !== null;
}

function endsAtLine(text: string, start: number, match: RegExpExecArray): boolean {
  const newline = match.index;
  if (match[0].length > 1) return true;
  const line = text.slice(Math.max(start, newline - MAX_HEADING), newline);
  const next = text.slice(newline + 1, newline + 1 + 2 * MAX_HEADING).split("\n", 1)[0];
  const following = next.replace(/^[ \t]+/, "");
  if (LABEL_AT.match(following)) return true;
  if (BULLETS.has(following[0]) && isSpace(following.slice(1, 2))) return isItem(line, following);
  const item = P.ITEM.match(following);
  if (item !== null) return isNumberedItem(text, newline, item);
  return newline - start <= MAX_HEADING && isHeading(text, start, line, following);
}

function isItem(line: string, following: string): boolean {
  const bullet = following[0];
  const words = stripStart(following.slice(1));
  if (SURE_BULLETS.has(bullet)) return true;
  const before = stripEnd(line);
  return (
    isAlpha(words.slice(0, 1)) &&
    (stripStart(line)[0] === bullet || endsIn(before, ":;") || isUpper(words.slice(0, 1)))
  );
}

/** `text[-1:] in characters`: true of an empty text. */
function endsIn(text: string, characters: string): boolean {
  return characters.includes(text.slice(-1));
}

function isNumberedItem(text: string, newline: number, item: RegExpExecArray): boolean {
  const number = Number(item[2]);
  if (number === 1) return endsIn(stripEnd(text.slice(Math.max(0, newline - LOOK_BACK), newline)), "?:;.");
  const previous = `${item[1]}${number - 1}${item[3]}`;
  if (text.startsWith(previous)) return true;
  return text.slice(Math.max(0, newline - MAX_ITEMS), newline).includes(`\n${previous}`);
}

function isHeading(text: string, start: number, line: string, following: string): boolean {
  const words = strip(line);
  const indent = line.slice(0, line.length - stripStart(line).length);
  const ownLine = start === 0 || indent.includes("\n") || text[start - 1] === "\n";
  let first = 0;
  while (first < following.length && OPENERS.includes(following[first])) first += 1;
  const begins = following.slice(first, first + 1);
  if (words === "" || !ownLine || words.includes("\n") || !(isUpper(begins) || isDigit(begins))) return false;
  if (P.HEADING.fullmatch(words)) return true;
  const width = words.length + 1 + firstWord(following).length;
  return !isLower(words[0]) && width <= following.length && P.OPEN_END.search(words) === null;
}

function firstWord(text: string): string {
  const stripped = stripStart(text);
  let end = 0;
  while (end < stripped.length && !isSpace(stripped[end])) end += 1;
  return stripped.slice(0, end);
}

function append(sentences: Range[], text: string, start: number, end: number): void {
  let left = start;
  let right = end;
  while (left < right && isSpace(text[left])) left += 1;
  while (right > left && isSpace(text[right - 1])) right -= 1;
  if (left < right) sentences.push([left, right]);
}
