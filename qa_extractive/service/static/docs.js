// Lists the routes of openapi.json. Nothing is loaded from elsewhere, and all of it enters the page as text.

const METHODS = ["get", "post"];

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

// Descriptions have `code` in them.
function prose(name, text) {
  const made = document.createElement(name);
  text.split("`").forEach((part, i) => made.append(i % 2 ? element("code", part) : part));
  return made;
}

function resolver(description) {
  return (schema) => {
    const name = schema?.$ref?.split("/").at(-1);
    return name ? description.components.schemas[name] : schema;
  };
}

// The forms a body can have, or the one it has.
function forms(schema, resolve) {
  const whole = resolve(schema);
  return (whole?.oneOf ?? whole?.anyOf ?? [whole]).map(resolve);
}

function kind(schema, resolve) {
  const whole = resolve(schema);
  if (whole.anyOf) {
    const kinds = whole.anyOf.map((each) => kind(each, resolve)).filter((each) => each !== "null");
    return kinds.join(" or ");
  }
  if (whole.type === "array") return `list of ${kind(whole.items, resolve)}`;
  return whole.type === "object" ? `{${Object.keys(whole.properties ?? {}).join(", ")}}` : whole.type ?? "any";
}

function about(schema, resolve) {
  return schema.description ?? resolve(schema).description ?? "";
}

function table(heads, rows) {
  const head = element("tr");
  for (const each of heads) {
    const cell = element("th", each);
    cell.scope = "col";
    head.append(cell);
  }
  const body = element("tbody");
  for (const cells of rows) body.append(element("tr", "", ...cells));
  const box = element("div", "", element("table", "", element("thead", "", head), body));
  box.className = "scroll";
  return box;
}

function fieldsOf(form, resolve) {
  const needed = new Set(form.required ?? []);
  const rows = Object.entries(form.properties ?? {}).map(([name, schema]) => [
    element("td", "", element("code", name), needed.has(name) ? "" : " (optional)"),
    element("td", kind(schema, resolve)),
    prose("td", about(schema, resolve)),
  ]);
  return table(["field", "is", "meaning"], rows);
}

function bodyOf(operation, resolve) {
  const schema = operation.requestBody?.content["application/json"]?.schema;
  if (!schema) return [];
  return forms(schema, resolve).flatMap((form) => {
    const parts = [prose("h4", form.description ?? form.title), fieldsOf(form, resolve)];
    if (form.examples) parts.push(element("pre", "", element("code", JSON.stringify(form.examples[0], null, 2))));
    return parts;
  });
}

function answerOf(operation, resolve) {
  const schema = operation.responses["200"]?.content?.["application/json"]?.schema;
  const known = schema ? forms(schema, resolve).filter((form) => form.properties) : [];
  if (!known.length) return [];
  const parts = known.flatMap((form) => [prose("h4", form.description ?? form.title), fieldsOf(form, resolve)]);
  return [element("details", "", element("summary", "What comes back"), ...parts)];
}

function statusesOf(operation) {
  const rows = Object.entries(operation.responses).map(([status, response]) => [
    element("td", "", element("code", status)),
    prose("td", response.description === "Successful Response" ? "As described." : response.description),
  ]);
  return element("details", "", element("summary", "Statuses"), table(["status", "when"], rows));
}

function routeOf(path, method, operation, resolve) {
  const box = element("article");
  box.className = "route";
  box.append(element("h3", `${method.toUpperCase()} ${path}`), prose("p", operation.description ?? ""));
  if (operation.security) box.append(prose("p", "Wants the API key: `X-API-Key: KEY` or `Authorization: Bearer KEY`."));
  box.append(...bodyOf(operation, resolve), ...answerOf(operation, resolve), statusesOf(operation));
  return box;
}

async function list() {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`status ${response.status}`);
  const description = await response.json();
  const resolve = resolver(description);
  const routes = Object.entries(description.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => routeOf(path, method, item[method], resolve)),
  );
  document.getElementById("routes").replaceChildren(...routes);
  if (description.components.securitySchemes) {
    document.getElementById("key-state").prepend(element("strong", "This service wants a key. "));
  }
}

const curl = document.querySelector("#curl code");
curl.textContent = curl.textContent.replace("http://127.0.0.1:8000", location.origin);
list().catch((error) => {
  document.getElementById("loading").append(` It cannot be read: ${error.message}.`);
});
