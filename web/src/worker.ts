/** A reader in a worker: what `WorkerReader` talks to. */

import { Reader } from "./reader.js";
import type { Reply, Request } from "./messages.js";

let reader: Promise<Reader> | null = null;

addEventListener("message", (event: MessageEvent<Request>) => {
  const request = event.data;
  handle(request).then(
    (value) => reply({ id: request.id, kind: "done", value }),
    (error: unknown) => {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      reply({ id: request.id, kind: "failed", name, message });
    },
  );
});

async function handle(request: Request): Promise<unknown> {
  if (request.kind === "load") {
    const onProgress = (progress: { loaded: number; total: number }): void =>
      reply({ id: request.id, kind: "progress", progress });
    reader = Reader.load(request.folder, { ...request.options, onProgress });
    return { threshold: (await reader).threshold };
  }
  if (reader === null) throw new Error("no model was loaded");
  return (await reader).answer(request.question, request.options);
}

function reply(message: Reply): void {
  postMessage(message);
}
