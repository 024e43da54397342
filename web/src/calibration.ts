/** Port of `inference/calibration.py`: raw predictions to probabilities, thresholds and verdicts. */

import { features, type RawPrediction } from "./decoding.js";
import { ModelError } from "./errors.js";
import { NO_QUESTION_FROM, START_COVERAGES } from "./generated.js";
import { VERDICTS, type Verdict } from "./types.js";

interface Logistic {
  weights: number[];
  bias: number;
}

/** The parts of a `calibration.json` that are read. */
export interface CalibrationFile {
  answerable: Logistic;
  right: Logistic;
  threshold: number;
  n_examples: number;
  risk_table: { threshold: number; coverage: number; risk_bound: number }[];
  verdict?: { scale: number; biases: number[] } | null;
}

type Three = [yes: number, no: number, mixed: number];

/** Turns a model's logits into probabilities. */
export class Calibration {
  constructor(private readonly file: CalibrationFile) {
    const numbers = [file.answerable, file.right].flatMap((each) => [...(each?.weights ?? [NaN]), each?.bias]);
    if (![...numbers, file.threshold].every(Number.isFinite) || !Array.isArray(file.risk_table)) {
      throw new ModelError("calibration.json is not a calibration: export the model again");
    }
  }

  /** The model's own threshold. */
  get threshold(): number {
    return this.file.threshold;
  }

  /** Whether the model has a verdict head. */
  get hasVerdict(): boolean {
    return Boolean(this.file.verdict);
  }

  /** Probabilities that the context answers, and that the best span is right; zeros where there is none. */
  probs(prediction: RawPrediction): { answerable: number; right: number } {
    if (prediction.candidates.length === 0) return { answerable: 0, right: 0 };
    const read = features(prediction);
    return { answerable: prob(this.file.answerable, read), right: prob(this.file.right, read) };
  }

  /** The verdict with the probabilities of yes, no and mixed; null where it is likely no such question. */
  verdict(prediction: RawPrediction): { verdict: Verdict; probs: Three } | null {
    if (!this.file.verdict || prediction.verdictLogits === null) return null;
    const [yes, no, mixed, other] = softmax(this.shifted(prediction.verdictLogits));
    if (other >= NO_QUESTION_FROM) return null;
    const total = yes + no + mixed;
    const probs: Three = [yes / total, no / total, mixed / total];
    return { verdict: VERDICTS[[yes, no, mixed].indexOf(Math.max(yes, no, mixed))], probs };
  }

  /** Of yes, no, mixed and "not reported", for a yes/no question; null without a verdict head. */
  votes(prediction: RawPrediction, answerable: number): [...Three, number] | null {
    if (!this.file.verdict) return null;
    if (prediction.verdictLogits === null) return prediction.candidates.length > 0 ? null : [0, 0, 0, 1];
    const [yes, no, mixed] = softmax(this.shifted(prediction.verdictLogits).slice(0, VERDICTS.length));
    return [answerable * yes, answerable * no, answerable * mixed, 1 - answerable];
  }

  /** The lowest threshold whose risk is at most `maxRisk` with 95 % confidence; ModelError if none is. */
  thresholdForRisk(maxRisk: number): number {
    if (!(maxRisk > 0 && maxRisk < 1)) throw new ModelError(`maxRisk must lie between 0 and 1, got ${maxRisk}`);
    let chosen = Infinity;
    for (const start of START_COVERAGES) {
      for (const point of this.file.risk_table) {
        if (point.coverage < start) continue;
        if (point.risk_bound > maxRisk) break;
        chosen = Math.min(chosen, point.threshold);
      }
    }
    if (chosen === Infinity) {
      throw new ModelError(
        `no threshold of this model keeps the risk under ${maxRisk} with 95 % confidence ` +
          `on its ${this.file.n_examples} calibration examples: allow more risk`,
      );
    }
    return chosen;
  }

  private shifted(logits: readonly number[]): number[] {
    const { scale, biases } = this.file.verdict!;
    return logits.map((logit, i) => scale * logit + biases[i]);
  }
}

function prob({ weights, bias }: Logistic, read: readonly number[]): number {
  const logit = weights.reduce((sum, weight, i) => sum + weight * read[i], 0) + bias;
  return 1 / (1 + Math.exp(-Math.min(40, Math.max(-40, logit))));
}

function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
