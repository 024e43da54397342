/** For Node: a model from a folder on disk. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { ModelError } from "./errors.js";
import { checkedList, LIST_FILE, modelOf } from "./model.js";
import { Reader } from "./reader.js";
import type { ReaderOptions } from "./types.js";

/** The model that comes with the package. */
export const PACKAGE_MODEL = fileURLToPath(new URL("../model", import.meta.url));

/** Opens the model of a folder that `export_onnx.py --form web` wrote; ModelError where it cannot. */
export async function openReader(folder: string = PACKAGE_MODEL, options: ReaderOptions = {}): Promise<Reader> {
  const read = async (name: string): Promise<Uint8Array> => {
    try {
      return new Uint8Array(await readFile(join(folder, name)));
    } catch (error) {
      throw new ModelError(`${join(folder, name)} cannot be read: ${(error as Error).message}`);
    }
  };
  const list = checkedList(JSON.parse(new TextDecoder().decode(await read(LIST_FILE))));
  const names = Object.keys(list.files);
  const contents = await Promise.all(names.map(read));
  return Reader.of(modelOf(list, new Map(names.map((name, i) => [name, contents[i]]))), options);
}
