/** Verbatim answers in the browser: see README.md. */

export { DataError, ModelError } from "./errors.js";
export { fetchModel, modelOf, type Fetched, type FetchOptions, type Model, type ModelList } from "./model.js";
export { Reader } from "./reader.js";
export { splitSentences } from "./sentences.js";
export { flat, OffsetConverter } from "./text.js";
export { WordPieceTokenizer, type Encoding, type TokenizerFile } from "./tokenizer.js";
export * from "./types.js";
export { WorkerReader, type WorkerOptions } from "./worker_reader.js";
