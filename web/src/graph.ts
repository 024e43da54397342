/** The exported graph, run by onnxruntime-web on the CPU: one window a run, read whole (effort "full"). */

import * as ort from "onnxruntime-web/wasm";

import type { WindowLogits } from "./decoding.js";
import { ModelError } from "./errors.js";
import { VERDICTS } from "./types.js";
import type { Window } from "./windows.js";

const START = "start_logits";
const END = "end_logits";
const ANSWERABILITY = "answerability_logit";
const VERDICT = "verdict_logits";
const OUTSIDE = -1;
const KNOWN_INPUTS = new Set([
  "input_ids",
  "attention_mask",
  "token_type_ids",
  "sentence_ids",
  "keep_above",
  "position_ids",
]);
const PAPER = "paper_"; // begins the inputs for kept papers, of which there are none here

/** A graph in memory. */
export class Graph {
  private queue: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly session: ort.InferenceSession,
    private readonly outputs: string[],
  ) {}

  /** Opens `model.onnx`; ModelError if it cannot be. `wasm`: onnxruntime's binary, where it is not beside it. */
  static async open(model: Uint8Array, wasm?: ArrayBuffer): Promise<Graph> {
    ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
    if (wasm !== undefined) ort.env.wasm.wasmBinary = wasm;
    let session: ort.InferenceSession;
    try {
      session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], logSeverityLevel: 3 });
    } catch (error) {
      throw new ModelError(`model.onnx cannot be loaded: ${reason(error)}`);
    }
    const unknown = session.inputNames.find((name) => !KNOWN_INPUTS.has(name) && !name.startsWith(PAPER));
    if (unknown !== undefined) throw new ModelError(`model.onnx wants an input ${unknown}: not made by export_onnx.py`);
    if (!session.outputNames.includes(START) || !session.outputNames.includes(END)) {
      throw new ModelError(`model.onnx gives ${session.outputNames.join(", ")}, not start_logits and end_logits`);
    }
    const wanted = [START, END, ANSWERABILITY, VERDICT];
    return new Graph(session, wanted.filter((name) => session.outputNames.includes(name)));
  }

  /** The logits of a window. Calls wait for one another. */
  run(window: Window): Promise<WindowLogits> {
    const found = this.queue.then(() => this.runOne(window));
    this.queue = found.catch(() => undefined);
    return found;
  }

  /** Frees its memory. */
  async close(): Promise<void> {
    await this.queue;
    await this.session.release();
  }

  private async runOne(window: Window): Promise<WindowLogits> {
    let values: ort.InferenceSession.OnnxValueMapType;
    try {
      values = await this.session.run(this.feed(window), this.outputs);
    } catch (error) {
      throw new ModelError(`model.onnx failed on a window of ${window.ids.length} tokens: ${reason(error)}`);
    }
    const sizes: Record<string, number> = {
      [START]: window.ids.length,
      [END]: window.ids.length,
      [ANSWERABILITY]: 1,
      [VERDICT]: VERDICTS.length + 1,
    };
    const floats = new Map(this.outputs.map((name) => [name, values[name].data as Float32Array]));
    for (const [name, data] of floats) {
      if (data.length !== sizes[name] || !data.every(Number.isFinite)) {
        throw new ModelError(`model.onnx failed on a window of ${window.ids.length} tokens: a logit is not a number`);
      }
    }
    return {
      start: floats.get(START)!,
      end: floats.get(END)!,
      answerability: floats.get(ANSWERABILITY)?.[0] ?? null,
      verdict: floats.get(VERDICT) ?? null,
    };
  }

  private feed(window: Window): Record<string, ort.Tensor> {
    const n = window.ids.length;
    const integers: Record<string, number[]> = {
      input_ids: window.ids,
      attention_mask: new Array<number>(n).fill(1),
      token_type_ids: window.types,
      sentence_ids: new Array<number>(n).fill(OUTSIDE),
      position_ids: Array.from({ length: n }, (_, i) => i),
    };
    const feed: Record<string, ort.Tensor> = {};
    for (const meta of this.session.inputMetadata) {
      if (!meta.isTensor) throw new ModelError(`model.onnx wants an input ${meta.name} that is no tensor`);
      if (meta.name in integers) feed[meta.name] = integerTensor(meta.type, integers[meta.name]);
      else if (meta.name === "keep_above") feed[meta.name] = new ort.Tensor("float32", [-Infinity], [1]);
      else feed[meta.name] = emptyTensor(meta.shape);
    }
    return feed;
  }
}

function integerTensor(type: ort.Tensor.Type, values: number[]): ort.Tensor {
  const shape = [1, values.length];
  if (type === "int32") return new ort.Tensor("int32", Int32Array.from(values), shape);
  return new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
}

/** A kept paper of no tokens. */
function emptyTensor(shape: readonly (number | string)[]): ort.Tensor {
  return new ort.Tensor(
    "float32",
    new Float32Array(0),
    shape.map((size) => (typeof size === "number" && size >= 0 ? size : 0)),
  );
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));
