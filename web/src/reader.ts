/** Questions in, answers out. */

import { toAnswer } from "./answers.js";
import { Calibration } from "./calibration.js";
import { decode, type WindowLogits } from "./decoding.js";
import { DataError, ModelError } from "./errors.js";
import { N_DECODED } from "./generated.js";
import { Graph } from "./graph.js";
import { fetchModel, type FetchOptions, type Model } from "./model.js";
import { flat } from "./text.js";
import { WordPieceTokenizer } from "./tokenizer.js";
import type { Answer, AnswerOptions, DecodeConfig, Question, ReaderOptions } from "./types.js";
import { strip } from "./unicode.js";
import { Windower } from "./windows.js";

const TOP_K = 5;

/** Answers questions with a model, as `Predictor(precision="exact")` of the Python package does. */
export class Reader {
  /** Abstains below this answerable probability. */
  readonly threshold: number;
  private readonly topK: number;

  private constructor(
    private readonly graph: Graph,
    private readonly windower: Windower,
    private readonly calibration: Calibration,
    private readonly decoding: DecodeConfig,
    options: ReaderOptions,
  ) {
    if (options.threshold !== undefined && options.maxRisk !== undefined) {
      throw new ModelError("threshold and maxRisk exclude each other: give one of them");
    }
    const own = options.maxRisk === undefined ? calibration.threshold : calibration.thresholdForRisk(options.maxRisk);
    const chosen = checked({ threshold: options.threshold ?? own, topK: options.topK ?? TOP_K });
    this.threshold = chosen.threshold;
    this.topK = chosen.topK;
  }

  /** Fetches a model's folder and opens it; ModelError where it cannot. */
  static async load(folder: string | URL, options: ReaderOptions & FetchOptions = {}): Promise<Reader> {
    const { model, wasm } = await fetchModel(folder, options);
    return Reader.of(model, options, wasm);
  }

  /** Opens a model in memory; ModelError where it cannot. */
  static async of(model: Model, options: ReaderOptions = {}, wasm?: ArrayBuffer): Promise<Reader> {
    const windower = new Windower(new WordPieceTokenizer(model.tokenizer), model.reader.window);
    const calibration = new Calibration(model.calibration);
    return new Reader(await Graph.open(model.graph, wasm), windower, calibration, model.reader.decode, options);
  }

  /** The answer to a question; DataError for one that cannot be read. */
  async answer(question: Question, options: AnswerOptions = {}): Promise<Answer> {
    const chosen = checked({ threshold: options.threshold ?? this.threshold, topK: options.topK ?? this.topK });
    check(question);
    const windows = this.windower.windows(question);
    const logits: WindowLogits[] = [];
    for (const window of windows) logits.push(await this.graph.run(window));
    const context = flat(question.context);
    const prediction = decode(context, windows, logits, this.decoding, Math.max(chosen.topK, N_DECODED));
    return toAnswer(question.context, context, prediction, this.calibration, chosen);
  }

  /** Frees the model's memory. */
  close(): Promise<void> {
    return this.graph.close();
  }
}

function check(question: Question): void {
  const { question: asked, context, title } = question;
  if (typeof asked !== "string" || typeof context !== "string" || !["string", "undefined"].includes(typeof (title ?? undefined))) {
    throw new DataError("question, context and title must be strings");
  }
  if (strip(asked) === "") throw new DataError("question is empty: give a question");
}

function checked(chosen: { threshold: number; topK: number }): { threshold: number; topK: number } {
  const { threshold, topK } = chosen;
  if (!(threshold >= 0 && threshold <= 1)) throw new ModelError(`threshold must lie in [0, 1], got ${threshold}`);
  if (!(Number.isInteger(topK) && topK >= 1)) throw new ModelError(`topK must be a whole number of at least 1, got ${topK}`);
  return chosen;
}
