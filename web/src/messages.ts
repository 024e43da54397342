/** What a page and its worker say to each other. */

import type { AnswerOptions, Progress, Question, ReaderOptions } from "./types.js";

export type Asked =
  | { kind: "load"; folder: string; options: ReaderOptions & { wasm?: string } }
  | { kind: "answer"; question: Question; options: AnswerOptions };

export type Request = Asked & { id: number };

export type Reply =
  | { id: number; kind: "progress"; progress: Progress }
  | { id: number; kind: "done"; value: unknown }
  | { id: number; kind: "failed"; name: string; message: string };
