/** WordPiece of a `tokenizer.json`, with the tokens and offsets of the `tokenizers` library. */

import { ModelError } from "./errors.js";
import {
  BETWEEN_WORDS,
  CLEANED_TO_BLANK,
  NONSPACING_MARKS,
  NOT_DECOMPOSED,
  PUNCTUATION,
  REMOVED,
  SET_APART,
} from "./generated.js";
import { inRuns } from "./unicode.js";

const BLANK = 0x20;
const REPLACEMENT = 0xfffd;
const DEFAULT_MOST_CHARACTERS = 100;

/** The parts of a `tokenizer.json` that are read. */
export interface TokenizerFile {
  added_tokens?: { content: string; special: boolean }[];
  normalizer: {
    type: string;
    clean_text: boolean;
    handle_chinese_chars: boolean;
    strip_accents: boolean | null;
    lowercase: boolean;
  };
  pre_tokenizer: { type: string };
  post_processor: TemplateFile | { type: "BertProcessing"; sep: [string, number]; cls: [string, number] };
  model: {
    type: string;
    unk_token: string;
    continuing_subword_prefix: string;
    max_input_chars_per_word?: number;
    vocab: Record<string, number>;
  };
}

interface TemplateFile {
  type: "TemplateProcessing";
  pair: ({ SpecialToken: Part } | { Sequence: Part })[];
  special_tokens: Record<string, { ids: number[] }>;
}

interface Part {
  id: string;
  type_id: number;
}

/** Tokens of a text; offsets are in code points. */
export interface Encoding {
  ids: number[];
  starts: number[];
  ends: number[];
}

/** A place in a window: special tokens, or the first or second text. */
export type Place = { kind: "special"; ids: number[]; type: number } | { kind: "A" | "B"; type: number };

/** Characters with the original character, by its number, that each was made of. */
interface Normalized {
  codes: number[];
  origins: number[];
}

/** Reads a tokenizer; ModelError for one that is no uncased or cased BERT's. */
export class WordPieceTokenizer {
  /** How two texts are put together. */
  readonly template: readonly Place[];
  private readonly vocabulary: Map<string, number>;
  private readonly words = new Map<string, readonly [ids: number[], lengths: number[]]>();
  private readonly unknown: number;

  constructor(private readonly file: TokenizerFile) {
    checkTypes(file);
    this.vocabulary = new Map(Object.entries(file.model.vocab));
    const unknown = this.vocabulary.get(file.model.unk_token);
    if (unknown === undefined) throw new ModelError(`the vocabulary has no ${file.model.unk_token}`);
    this.unknown = unknown;
    this.template = templateOf(file);
  }

  /** The tokens of a text, without special ones. */
  encode(text: string): Encoding {
    const { codes, origins } = this.normalized(text);
    const encoding: Encoding = { ids: [], starts: [], ends: [] };
    let first = 0;
    for (let at = 0; at <= codes.length; at += 1) {
      const isEnd = at === codes.length;
      const isMark = !isEnd && inRuns(PUNCTUATION, codes[at]);
      if (!isEnd && !isMark && !inRuns(BETWEEN_WORDS, codes[at])) continue;
      if (first < at) this.addWord(encoding, codes, origins, first, at);
      if (isMark) this.addWord(encoding, codes, origins, at, at + 1);
      first = at + 1;
    }
    return encoding;
  }

  private normalized(text: string): Normalized {
    const { clean_text, handle_chinese_chars, strip_accents, lowercase } = this.file.normalizer;
    let made: Normalized = { codes: [], origins: [] };
    let origin = 0;
    for (const character of text) {
      const code = character.codePointAt(0)!;
      made.codes.push(code >= 0xd800 && code <= 0xdfff ? REPLACEMENT : code);
      made.origins.push(origin++);
    }
    if (clean_text) made = cleaned(made);
    if (handle_chinese_chars) made = replaced(made, (code) => (inRuns(SET_APART, code) ? [BLANK, code, BLANK] : null));
    if (strip_accents ?? lowercase) made = withoutAccents(made);
    if (lowercase) made = replaced(made, lowered);
    return made;
  }

  private addWord(encoding: Encoding, codes: number[], origins: number[], first: number, end: number): void {
    const [ids, lengths] = this.pieces(codes.slice(first, end));
    let at = first;
    ids.forEach((id, i) => {
      encoding.ids.push(id);
      encoding.starts.push(origins[at]);
      at += lengths[i];
      encoding.ends.push(origins[at - 1] + 1);
    });
  }

  private pieces(codes: number[]): readonly [ids: number[], lengths: number[]] {
    const characters = codes.map((code) => String.fromCodePoint(code));
    const word = characters.join("");
    let found = this.words.get(word);
    if (found === undefined) {
      found = this.cut(characters) ?? [[this.unknown], [characters.length]];
      if (this.words.size >= 50_000) this.words.clear();
      this.words.set(word, found);
    }
    return found;
  }

  private cut(characters: string[]): [ids: number[], lengths: number[]] | null {
    const { continuing_subword_prefix: prefix, max_input_chars_per_word: most } = this.file.model;
    if (characters.length > (most ?? DEFAULT_MOST_CHARACTERS)) return null;
    const [ids, lengths]: [number[], number[]] = [[], []];
    for (let start = 0; start < characters.length; ) {
      let end = characters.length;
      let id: number | undefined;
      for (; end > start; end -= 1) {
        const piece = characters.slice(start, end).join("");
        id = this.vocabulary.get(start > 0 ? prefix + piece : piece);
        if (id !== undefined) break;
      }
      if (id === undefined) return null;
      ids.push(id);
      lengths.push(end - start);
      start = end;
    }
    return [ids, lengths];
  }
}

function checkTypes(file: TokenizerFile): void {
  const wanted = { model: "WordPiece", normalizer: "BertNormalizer", pre_tokenizer: "BertPreTokenizer" } as const;
  for (const [part, type] of Object.entries(wanted)) {
    const found = (file[part as keyof typeof wanted] as { type?: string } | null)?.type;
    if (found !== type) throw new ModelError(`tokenizer.json has a ${part} ${found}, where the browser reads ${type}`);
  }
  const own = file.added_tokens?.find((token) => !token.special);
  if (own !== undefined) throw new ModelError(`tokenizer.json adds the token ${own.content}, which is not read here`);
}

function templateOf(file: TokenizerFile): Place[] {
  const post = file.post_processor;
  if (post?.type === "BertProcessing") {
    const [cls, sep] = [[post.cls[1]], [post.sep[1]]];
    return [
      { kind: "special", ids: cls, type: 0 },
      { kind: "A", type: 0 },
      { kind: "special", ids: sep, type: 0 },
      { kind: "B", type: 1 },
      { kind: "special", ids: sep, type: 1 },
    ];
  }
  if (post?.type !== "TemplateProcessing") throw new ModelError("tokenizer.json puts texts together in another way");
  return post.pair.map((place) =>
    "Sequence" in place
      ? { kind: place.Sequence.id as "A" | "B", type: place.Sequence.type_id }
      : {
          kind: "special",
          ids: post.special_tokens[place.SpecialToken.id].ids,
          type: place.SpecialToken.type_id,
        },
  );
}

// ---------------------------------------------------------------- the steps of BertNormalizer

function cleaned({ codes, origins }: Normalized): Normalized {
  const made: Normalized = { codes: [], origins: [] };
  codes.forEach((code, i) => {
    if (inRuns(REMOVED, code)) return;
    made.codes.push(inRuns(CLEANED_TO_BLANK, code) ? BLANK : code);
    made.origins.push(origins[i]);
  });
  return made;
}

/** Each character replaced by those that a function gives, all made of it; null leaves it. */
function replaced({ codes, origins }: Normalized, by: (code: number) => number[] | null): Normalized {
  const made: Normalized = { codes: [], origins: [] };
  codes.forEach((code, i) => {
    for (const each of by(code) ?? [code]) {
      made.codes.push(each);
      made.origins.push(origins[i]);
    }
  });
  return made;
}

function lowered(code: number): number[] | null {
  if (code < 0x80) return code >= 0x41 && code <= 0x5a ? [code + 0x20] : null;
  return codesOf(String.fromCodePoint(code).toLowerCase());
}

function withoutAccents(normalized: Normalized): Normalized {
  if (normalized.codes.every((code) => code < 0x80)) return normalized;
  const { codes, origins } = inCanonicalOrder(normalized);
  const made: Normalized = { codes: [], origins: [] };
  codes.forEach((code, i) => {
    if (inRuns(NONSPACING_MARKS, code)) return;
    made.codes.push(code);
    made.origins.push(origins[i]);
  });
  return made;
}

/**
 * The characters decomposed, marks in canonical order. As in the library, one that stands for itself or
 * begins a decomposition takes the next original in turn, the others that of the one before: where marks
 * changed places, offsets did not.
 */
function inCanonicalOrder({ codes, origins }: Normalized): Normalized {
  const parts: [code: number, isFurther: boolean][] = [];
  for (const code of codes) {
    decomposed(code).forEach((part, i) => {
      let at = parts.length;
      while (at > 0 && stands(part, parts[at - 1][0])) at -= 1;
      parts.splice(at, 0, [part, i > 0]);
    });
  }
  const made: Normalized = { codes: [], origins: [] };
  let next = 0;
  for (const [code, isFurther] of parts) {
    made.codes.push(code);
    made.origins.push(isFurther ? origins[Math.max(0, next - 1)] : origins[next++]);
  }
  return made;
}

function decomposed(code: number): number[] {
  if (code < 0xc0 || inRuns(NOT_DECOMPOSED, code)) return [code];
  return codesOf(String.fromCodePoint(code).normalize("NFD"));
}

/** Whether a mark belongs before the one that it follows. */
function stands(mark: number, before: number): boolean {
  if (mark < 0x300 || before < 0x300) return false;
  const pair = String.fromCodePoint(before, mark);
  return pair.normalize("NFD") === String.fromCodePoint(mark, before);
}

const codesOf = (text: string): number[] => Array.from(text, (character) => character.codePointAt(0)!);
