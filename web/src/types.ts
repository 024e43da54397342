/** What comes in and goes out. Offsets are those of JavaScript's strings, in UTF-16 units, half open. */

export const VERDICTS = ["yes", "no", "mixed"] as const;
export type Verdict = (typeof VERDICTS)[number];
export type Status = "answered" | "unsure" | "not_reported";

/** A question to be answered from one context. */
export interface Question {
  question: string;
  /** The text that holds the answer; blank means no answer. */
  context: string;
  /** The title of the paper; it is read, but no span lies in it. */
  title?: string | null;
}

/** A verbatim piece of the context: `context.slice(start, end) === text`. */
export interface Span {
  text: string;
  start: number;
  end: number;
  /** Calibrated probability that it is right, in [0, 1]. */
  score: number;
}

/** The answer to one question. */
export interface Answer {
  /** The verbatim answer; empty if abstained. */
  text: string;
  start: number;
  end: number;
  /** Calibrated probability that the best span is right (token F1 of at least 0.5 with a reference). */
  score: number;
  /** Calibrated probability that the context answers the question. */
  answerable: number;
  abstained: boolean;
  status: Status;
  /** The sentence that holds the answer; null if abstained. */
  sentence: Span | null;
  /** The best spans, best first, none overlapping another; present if abstained too. */
  candidates: Span[];
  /** What the context says to a yes/no question; null if abstained, for others, and without such a head. */
  verdict: Verdict | null;
  verdictScore: number | null;
  /** Of yes, no and mixed, of sum 1. */
  verdictProbs: [number, number, number] | null;
  /** Of yes, no, mixed and "not reported", of sum 1, if the question is known to be one for yes or no. */
  voteProbs: [number, number, number, number] | null;
}

/** What one reader or one call chooses. */
export interface AnswerOptions {
  /** Abstain below this answerable probability, in [0, 1]; without it, the model's own. */
  threshold?: number;
  /** Candidates of each answer, at least 1; without it, 5. */
  topK?: number;
}

/** What is settled when a reader is made. */
export interface ReaderOptions extends AnswerOptions {
  /** At most this share of wrong answers, with 95 % confidence; excludes `threshold`. */
  maxRisk?: number;
}

/** How far loading is, in bytes. */
export interface Progress {
  loaded: number;
  total: number;
}

/** Sizes of windows; see `WindowConfig` of the Python package. */
export interface WindowConfig {
  max_tokens: number;
  stride_tokens: number;
  max_question_tokens: number;
  max_title_tokens: number;
}

/** How logits become spans; see `DecodeConfig` of the Python package. */
export interface DecodeConfig {
  max_answer_tokens: number;
  n_best: number;
}
