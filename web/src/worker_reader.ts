/** A reader that works in a worker, so that the page stays responsive. */

import { DataError, ModelError } from "./errors.js";
import type { Asked, Reply } from "./messages.js";
import type { Answer, AnswerOptions, Progress, Question, ReaderOptions } from "./types.js";

export interface WorkerOptions extends ReaderOptions {
  /** Where `ort-wasm-simd-threaded.wasm` lies; without it, onnxruntime-web looks for it. */
  wasm?: string | URL;
  onProgress?: (progress: Progress) => void;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  onProgress?: (progress: Progress) => void;
}

/** As `Reader`, in a worker that runs the package's `worker.js`. */
export class WorkerReader {
  /** Abstains below this answerable probability. */
  threshold = NaN;
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;

  private constructor(private readonly worker: Worker) {
    worker.addEventListener("message", (event: MessageEvent<Reply>) => this.receive(event.data));
    worker.addEventListener("error", (event) => this.fail(new Error(event.message || "the worker failed")));
  }

  /** Loads a model's folder in a worker; ModelError where it cannot. */
  static async load(worker: Worker, folder: string | URL, options: WorkerOptions = {}): Promise<WorkerReader> {
    const { onProgress, wasm, ...chosen } = options;
    const reader = new WorkerReader(worker);
    const absolute = (url: string | URL): string => new URL(url, globalThis.location?.href).href;
    const own = { ...chosen, ...(wasm === undefined ? {} : { wasm: absolute(wasm) }) };
    const loaded = await reader.ask({ kind: "load", folder: absolute(folder), options: own }, onProgress);
    reader.threshold = (loaded as { threshold: number }).threshold;
    return reader;
  }

  /** The answer to a question; DataError for one that cannot be read. */
  answer(question: Question, options: AnswerOptions = {}): Promise<Answer> {
    return this.ask({ kind: "answer", question, options }) as Promise<Answer>;
  }

  /** Ends the worker; what was asked and not answered fails. */
  close(): void {
    this.worker.terminate();
    this.fail(new Error("the reader was closed"));
  }

  private ask(asked: Asked, onProgress?: (progress: Progress) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++this.lastId;
      this.waiting.set(id, { resolve, reject, onProgress });
      this.worker.postMessage({ ...asked, id });
    });
  }

  private receive(reply: Reply): void {
    const own = this.waiting.get(reply.id);
    if (own === undefined) return;
    if (reply.kind === "progress") {
      own.onProgress?.(reply.progress);
      return;
    }
    this.waiting.delete(reply.id);
    if (reply.kind === "done") own.resolve(reply.value);
    else own.reject(errorOf(reply.name, reply.message));
  }

  private fail(error: Error): void {
    for (const own of this.waiting.values()) own.reject(error);
    this.waiting.clear();
  }
}

function errorOf(name: string, message: string): Error {
  const kinds: Record<string, new (message: string) => Error> = { DataError, ModelError };
  return new (kinds[name] ?? Error)(message);
}
