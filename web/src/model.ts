/** The files of a model, as `export_onnx.py --form web` writes them, and how they are fetched. */

import type { CalibrationFile } from "./calibration.js";
import { ModelError } from "./errors.js";
import type { TokenizerFile } from "./tokenizer.js";
import type { DecodeConfig, Progress, WindowConfig } from "./types.js";

/** Lists the other files with their sizes. */
export const LIST_FILE = "web.json";

/** A model's files. */
export interface Model {
  graph: Uint8Array;
  tokenizer: TokenizerFile;
  reader: { window: WindowConfig; decode: DecodeConfig };
  calibration: CalibrationFile;
}

/** The list that stands beside a model's files. */
export interface ModelList {
  format_version: number;
  /** Bytes of each file. */
  files: Record<string, number>;
}

export interface FetchOptions {
  /** Where `ort-wasm-simd-threaded.wasm` lies; fetched, and counted, with the model. */
  wasm?: string | URL;
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** A model and, if it was asked for, onnxruntime's binary. */
export interface Fetched {
  model: Model;
  wasm?: ArrayBuffer;
}

/** Fetches a model's folder; ModelError where a file is missing or cut short. */
export async function fetchModel(folder: string | URL, options: FetchOptions = {}): Promise<Fetched> {
  const base = new URL(`${String(folder).replace(/\/?$/, "/")}`, globalThis.location?.href);
  const list = checkedList(await (await get(new URL(LIST_FILE, base), options.signal)).json());
  const wasm = options.wasm === undefined ? null : await get(new URL(options.wasm, base), options.signal);
  const sizes = Object.values(list.files);
  const wasmSize = Number(wasm?.headers.get("content-length") ?? 0);
  const total = sizes.reduce((sum, size) => sum + size, wasmSize);
  let loaded = 0;
  const count = (n: number): void => {
    loaded += n;
    options.onProgress?.({ loaded: Math.min(loaded, total), total });
  };
  const names = Object.keys(list.files);
  const contents = await Promise.all(
    names.map(async (name) => bytes(await get(new URL(name, base), options.signal), count)),
  );
  const files = new Map(names.map((name, i) => [name, contents[i]]));
  const model = modelOf(list, files);
  return wasm === null ? { model } : { model, wasm: (await bytes(wasm, count)).buffer as ArrayBuffer };
}

/** A model of its files' contents; ModelError where one is missing, cut short or not understood. */
export function modelOf(list: ModelList, files: ReadonlyMap<string, Uint8Array>): Model {
  for (const [name, size] of Object.entries(list.files)) {
    const found = files.get(name)?.length;
    if (found !== size) throw new ModelError(`${name} has ${found ?? 0} bytes, not ${size}: fetch it again`);
  }
  return {
    graph: file(files, "model.onnx"),
    tokenizer: json<TokenizerFile>(files, "tokenizer.json"),
    reader: json<Model["reader"]>(files, "reader.json"),
    calibration: json<CalibrationFile>(files, "calibration.json"),
  };
}

/** A list as it should be; ModelError otherwise. */
export function checkedList(value: unknown): ModelList {
  const list = value as ModelList | null;
  if (list?.format_version !== 1 || typeof list.files !== "object") {
    throw new ModelError(`${LIST_FILE} is not understood: write the model with export_onnx.py --form web`);
  }
  return list;
}

function file(files: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const found = files.get(name);
  if (found === undefined) throw new ModelError(`the model has no ${name}`);
  return found;
}

function json<T>(files: ReadonlyMap<string, Uint8Array>, name: string): T {
  try {
    return JSON.parse(new TextDecoder().decode(file(files, name))) as T;
  } catch (error) {
    throw error instanceof ModelError ? error : new ModelError(`${name} is no JSON`);
  }
}

async function get(url: URL, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new ModelError(`${url} cannot be fetched: ${response.status} ${response.statusText}`);
  return response;
}

async function bytes(response: Response, count: (n: number) => void): Promise<Uint8Array> {
  if (response.body === null) {
    const whole = new Uint8Array(await response.arrayBuffer());
    count(whole.length);
    return whole;
  }
  const parts: Uint8Array[] = [];
  const stream = response.body.getReader();
  for (let read = await stream.read(); !read.done; read = await stream.read()) {
    parts.push(read.value);
    count(read.value.length);
  }
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
