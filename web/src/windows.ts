/** Port of `inference/windows.py`: a question and its context to overlapping windows of tokens. */

import { DataError } from "./errors.js";
import { MOST_CHARACTERS_A_TOKEN, TITLE_MARK } from "./generated.js";
import type { Encoding, Place, WordPieceTokenizer } from "./tokenizer.js";
import type { Question, WindowConfig } from "./types.js";
import { strip, stripEnd } from "./unicode.js";

/** Characters of a title that are tokenized, for each token that it may have. */
const TITLE_CHARACTERS_A_TOKEN = 40;

/** One model input; offsets are in code points of the context. */
export interface Window {
  ids: number[];
  types: number[];
  /** Position of the first context token. */
  first: number;
  nContextTokens: number;
  /** Of the context tokens. */
  starts: number[];
  ends: number[];
}

/** Cuts questions into windows. */
export class Windower {
  constructor(
    private readonly tokenizer: WordPieceTokenizer,
    private readonly config: WindowConfig,
  ) {}

  /** The windows of a question, none of a blank context; DataError for a question that is too long. */
  windows(question: Question): Window[] {
    const head = this.tokenizer.encode(this.head(question));
    if (strip(question.context) === "") return [];
    const context = this.tokenizer.encode(question.context);
    const nOthers = this.tokenizer.template.reduce((n, place) => n + lengthOf(place, head), 0);
    const room = this.config.max_tokens - nOthers;
    const step = room - this.config.stride_tokens;
    const nSteps = Math.max(0, Math.ceil((context.ids.length - room) / step));
    return Array.from({ length: nSteps + 1 }, (_, i) => this.window(head, context, i * step, i * step + room));
  }

  private window(head: Encoding, context: Encoding, start: number, end: number): Window {
    const window: Window = {
      ids: [],
      types: [],
      first: 0,
      nContextTokens: 0,
      starts: context.starts.slice(start, end),
      ends: context.ends.slice(start, end),
    };
    for (const place of this.tokenizer.template) {
      let ids = place.kind === "special" ? place.ids : head.ids;
      if (place.kind === "B") {
        ids = context.ids.slice(start, end);
        window.first = window.ids.length;
        window.nContextTokens = ids.length;
      }
      for (const id of ids) {
        window.ids.push(id);
        window.types.push(place.type);
      }
    }
    return window;
  }

  private head(question: Question): string {
    const asked = strip(question.question);
    const { max_question_tokens: mostTokens } = this.config;
    const most = MOST_CHARACTERS_A_TOKEN * mostTokens;
    const nCharacters = Array.from(asked).length;
    if (nCharacters > most) throw tooLong(`${nCharacters} characters`, most);
    const nTokens = this.tokenizer.encode(asked).ids.length;
    if (nTokens > mostTokens) throw tooLong(`${nTokens} tokens`, mostTokens);
    const title = this.title(question.title);
    return title === "" ? asked : asked + TITLE_MARK + title;
  }

  private title(title: string | null | undefined): string {
    const most = this.config.max_title_tokens;
    const characters = Array.from(strip(title ?? "")).slice(0, TITLE_CHARACTERS_A_TOKEN * most);
    const text = characters.join("");
    const { ids, starts } = this.tokenizer.encode(text);
    return ids.length <= most ? text : stripEnd(characters.slice(0, starts[most]).join(""));
  }
}

function lengthOf(place: Place, head: Encoding): number {
  if (place.kind === "special") return place.ids.length;
  return place.kind === "A" ? head.ids.length : 0;
}

function tooLong(size: string, most: number): DataError {
  return new DataError(`question of ${size} exceeds ${most}: shorten it, or put the text into the context`);
}
