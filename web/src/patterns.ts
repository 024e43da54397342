/** Python's ways to apply a pattern. */

/** A pattern with the methods of Python's, on flat texts. */
export class Pattern {
  private readonly anywhere: RegExp;
  private readonly here: RegExp;
  private readonly whole: RegExp;

  constructor(source: string) {
    this.anywhere = new RegExp(source, "gu");
    this.here = new RegExp(source, "yu");
    this.whole = new RegExp(`(?:${source})(?![\\p{Any}])`, "yu");
  }

  /** The first match in `text` from `start` on; as if the text ended at `end`. */
  search(text: string, start = 0, end = text.length): RegExpExecArray | null {
    return exec(this.anywhere, text, start, end);
  }

  /** The match at `start`. */
  match(text: string, start = 0, end = text.length): RegExpExecArray | null {
    return exec(this.here, text, start, end);
  }

  /** The match of all from `start` to `end`. */
  fullmatch(text: string, start = 0, end = text.length): RegExpExecArray | null {
    return exec(this.whole, text, start, end);
  }

  /** All matches, none overlapping another. */
  *finditer(text: string, start = 0, end = text.length): Generator<RegExpExecArray> {
    const cut = end < text.length ? text.slice(0, end) : text;
    let at = start;
    while (at <= cut.length) {
      this.anywhere.lastIndex = at;
      const found = this.anywhere.exec(cut);
      if (found === null) return;
      at = found.index + Math.max(1, found[0].length);
      yield found;
    }
  }
}

/** The index after a match. */
export const endOf = (match: RegExpExecArray): number => match.index + match[0].length;

/** All of some pattern sources. */
export function compiled<Name extends string>(sources: Readonly<Record<Name, string>>): Record<Name, Pattern> {
  const pairs = Object.entries<string>(sources).map(([name, source]) => [name, new Pattern(source)]);
  return Object.fromEntries(pairs) as Record<Name, Pattern>;
}

function exec(pattern: RegExp, text: string, start: number, end: number): RegExpExecArray | null {
  pattern.lastIndex = start;
  return pattern.exec(end < text.length ? text.slice(0, end) : text);
}
