/** Python's classes of characters, for single characters of flat texts (`text.ts`). */

import { DIGITS } from "./generated.js";

const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const MARK = /\p{M}/u;
const ALNUM = /[\p{L}\p{N}]/u;
const ALPHA = /\p{L}/u;
const UPPER = /\p{Uppercase}/u;
const LOWER = /\p{Lowercase}/u;
const NOT_UPPER = /[\p{Lowercase}\p{Lt}]/u;
const SPACES_BEFORE = new RegExp(`^${SPACE.source}+`);

export const isSpace = (character: string): boolean => SPACE.test(character);
export const isMark = (character: string): boolean => MARK.test(character);
export const isAlnum = (character: string): boolean => ALNUM.test(character);
export const isAlpha = (character: string): boolean => ALPHA.test(character);
export const isLower = (character: string): boolean => LOWER.test(character);
export const isUpper = (text: string): boolean => UPPER.test(text) && !NOT_UPPER.test(text);
export const isDigit = (character: string | undefined): boolean =>
  !!character && inRuns(DIGITS, character.codePointAt(0)!);

/** Whether a code point lies in one of some runs, given as their first and last code points. */
export function inRuns(runs: readonly number[], code: number): boolean {
  let low = 0;
  let high = runs.length / 2 - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (code < runs[2 * middle]) high = middle - 1;
    else if (code > runs[2 * middle + 1]) low = middle + 1;
    else return true;
  }
  return false;
}

/** `str.lstrip()`. */
export function stripStart(text: string): string {
  return text.replace(SPACES_BEFORE, "");
}

/** `str.rstrip()`; linear in the text, which a pattern would not be. */
export function stripEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text[end - 1])) end -= 1;
  return text.slice(0, end);
}

/** `str.strip()`. */
export const strip = (text: string): string => stripEnd(stripStart(text));
