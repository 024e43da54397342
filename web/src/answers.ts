/** Port of `inference/answers.py`: a raw prediction to an answer, with offsets in UTF-16 units. */

import type { Calibration } from "./calibration.js";
import type { Candidate, RawPrediction } from "./decoding.js";
import { UNSURE_FROM } from "./generated.js";
import { sentenceAt } from "./sentences.js";
import { OffsetConverter } from "./text.js";
import type { Answer, Span, Status } from "./types.js";

/** The answer that a prediction amounts to; `flatContext` is `flat(context)`. */
export function toAnswer(
  context: string,
  flatContext: string,
  prediction: RawPrediction,
  calibration: Calibration,
  { threshold, topK }: { threshold: number; topK: number },
): Answer {
  const offsets = new OffsetConverter(context);
  const span = (first: number, last: number, score: number): Span => {
    const [start, end] = [offsets.toUtf16(first), offsets.toUtf16(last)];
    return { text: context.slice(start, end), start, end, score };
  };
  const { answerable, right } = calibration.probs(prediction);
  const scores = candidateScores(prediction.candidates, right).slice(0, topK);
  const candidates = scores.map((score, i) => span(prediction.candidates[i].start, prediction.candidates[i].end, score));
  const voteProbs = calibration.votes(prediction, answerable);
  const common = { score: right, answerable, candidates, voteProbs };
  if (candidates.length === 0 || answerable < threshold) {
    const status: Status = candidates.length > 0 && answerable >= UNSURE_FROM ? "unsure" : "not_reported";
    const none = { verdict: null, verdictScore: null, verdictProbs: null };
    return { text: "", start: 0, end: 0, ...common, abstained: true, status, sentence: null, ...none };
  }
  const { text, start, end } = candidates[0];
  const best = prediction.candidates[0];
  const [first, last] = sentenceAt(flatContext, best.start, best.end);
  const said = calibration.verdict(prediction);
  return {
    text,
    start,
    end,
    ...common,
    abstained: false,
    status: "answered",
    sentence: span(first, last, right),
    verdict: said?.verdict ?? null,
    verdictScore: said === null ? null : Math.max(...said.probs),
    verdictProbs: said?.probs ?? null,
  };
}

/** A score for each candidate, not rising, of a sum of at most 1: the best one's is `right`. */
function candidateScores(candidates: readonly Candidate[], right: number): number[] {
  if (candidates.length === 0) return [];
  const weights = candidates.slice(1).map((each) => Math.exp(each.logit - candidates[0].logit));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const unit = total > 0 ? Math.min(right, (1 - right) / total) : 0;
  return [right, ...weights.map((weight) => unit * weight)];
}
