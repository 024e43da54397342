/** Texts by their code points, as Python counts them, and by their UTF-16 units, as JavaScript does. */

import { isDigit } from "./unicode.js";

const SURROGATE = /[\ud800-\udfff]/;

const DIGIT = "\u2460"; // of those that are no decimals
// Outside the basic plane a character counts only by its class. Here is one of each, in no pattern.
const STANDINS: readonly (readonly [RegExp, string])[] = [
  [/\p{M}/u, "\u0591"],
  [/\p{Nd}/u, "\u0660"],
  [/\p{N}/u, "\u0bf0"],
  [/(?=\p{L})\p{Uppercase}/u, "\u0531"],
  [/(?=\p{L})\p{Lowercase}/u, "\u0561"],
  [/\p{L}/u, "\u05d0"],
  [/\p{Uppercase}/u, "\u24b6"],
];
const OTHER = "\u2603";

/** Converts between offsets in UTF-16 units and in code points (those of Python's strings). */
export class OffsetConverter {
  private readonly starts: Uint32Array | null;

  constructor(text: string) {
    this.starts = SURROGATE.test(text) ? startsOf(text) : null;
  }

  /** The UTF-16 offset of a code point offset. */
  toUtf16(codePoint: number): number {
    return this.starts === null ? codePoint : this.starts[codePoint];
  }

  /** The code point offset of a UTF-16 offset; one inside a pair is that of its character. */
  toCodePoint(utf16: number): number {
    if (this.starts === null) return utf16;
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= utf16) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function startsOf(text: string): Uint32Array {
  const starts: number[] = [];
  let at = 0;
  for (const character of text) {
    starts.push(at);
    at += character.length;
  }
  return Uint32Array.from([...starts, at]);
}

/**
 * The text with one UTF-16 unit for each code point, so that its offsets count code points. Characters
 * outside the basic plane are replaced by others of their class; patterns treat them alike.
 */
export function flat(text: string): string {
  if (!SURROGATE.test(text)) return text;
  return Array.from(text, (character) => (SURROGATE.test(character) ? standin(character) : character)).join("");
}

function standin(character: string): string {
  const found = STANDINS.find(([pattern]) => pattern.test(character))?.[1] ?? OTHER;
  return found !== "\u0660" && isDigit(character) ? DIGIT : found;
}
