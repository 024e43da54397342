// Requests to the service: the key, a busy service asked again, and what went wrong in one line.

export const find = (id) => document.getElementById(id);
export const JSON_LINES = "application/x-ndjson";
const MAX_TRIES = 4;

// A string with half of a surrogate pair is no text that can be sent: the half becomes U+FFFD.
export const wellFormed = (text) => (text.toWellFormed ? text.toWellFormed() : text);

// The response to a request that went well. `onBusy(seconds)` is called before each wait.
export async function post(path, body, { signal, onBusy, accept, type = "application/json" } = {}) {
  const headers = { "Content-Type": type };
  if (accept) headers.Accept = accept;
  if (find("key").value) headers["X-API-Key"] = find("key").value;
  for (let n = 1; ; n += 1) {
    const response = await fetch(path, { method: "POST", headers, body, signal });
    if (response.ok) return response;
    if (response.status === 503 && n < MAX_TRIES) {
      await pause(Number(response.headers.get("Retry-After")) || 1, signal, onBusy);
      continue;
    }
    const sent = await response.json().catch(() => null);
    throw failure(sent?.error ?? { message: `The service answered with status ${response.status}.` }, response.status);
  }
}

// An error that the service told.
export const failure = (detail, status) => Object.assign(new Error(detail.message), { status, detail });

// It in one line; of what the service did not tell itself, that it cannot be reached.
export function lineOf(error) {
  const id = error.detail?.request_id ? ` (request ${error.detail.request_id})` : "";
  return (error.detail ? error.message : "The service cannot be reached. Is it still running?") + id;
}

// Shows the field of the key where that is what is missing.
export function askForKey(error) {
  if (error.status !== 401) return false;
  find("key-row").hidden = false;
  find("key").focus();
  return true;
}

function pause(seconds, signal, onBusy) {
  onBusy?.(seconds);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

// The JSON values of a response that has one a line, each as soon as it is there.
export async function* valuesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const parts = (rest + (value ?? "")).split("\n");
    rest = parts.pop();
    for (const line of parts) if (line) yield JSON.parse(line);
    if (done) return;
  }
}
