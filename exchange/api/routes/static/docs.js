"use strict";

// Renders /openapi.json and /asyncapi.json. Text from the document is only ever set as text, never as markup.

const METHODS = ["post", "get", "put", "patch", "delete"];

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

// `code`, **bold**: all the Markdown the document uses within a line.
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return el("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return el("strong", {}, part.slice(2, -2));
    return part;
  });
}

function paragraphs(text) {
  return text.split(/\n\s*\n/).map((paragraph) => el("p", {}, ...inline(paragraph.replace(/\n/g, " "))));
}

function codeBlock(text) {
  const button = el("button", { class: "copy", type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  const copy = navigator.clipboard ? button : null;
  return el("div", { class: "block" }, el("pre", { tabindex: "0" }, el("code", {}, text)), copy);
}

function table(heads, rows) {
  const head = el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, ...[cell].flat()))));
  return el("div", { class: "table" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}

// --- schemas ----------------------------------------------------------------------------------------

function resolve(api, thing) {
  if (!thing.$ref) return thing;
  return thing.$ref.slice(2).split("/").reduce((found, key) => found[key], api);
}

// What may stand for a value, null aside: absent optionals are left out, never null.
function options(schema) {
  return (schema.anyOf || [schema]).filter((option) => option.type !== "null");
}

function typeText(api, schema) {
  return options(schema).map((option) => {
    const found = resolve(api, option);
    if ("const" in found) return JSON.stringify(found.const);
    if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(" | ");
    const tuple = found.prefixItems || (Array.isArray(found.items) ? found.items : null);
    if (tuple) return `[${tuple.map((item) => typeText(api, item)).join(", ")}]`;
    if (found.type === "array") return `array of ${typeText(api, found.items || {})}`;
    if (found.additionalProperties) return `map of ${typeText(api, found.additionalProperties)}`;
    if (found.properties) return found.title;
    return found.format || found.type || "any";
  }).join(" | ");
}

function bounds(schema) {
  const found = options(schema)[0] || {};
  const said = [];
  if ("minimum" in found) said.push(`≥ ${found.minimum}`);
  if ("exclusiveMinimum" in found) said.push(`> ${found.exclusiveMinimum}`);
  if ("maximum" in found) said.push(`≤ ${found.maximum}`);
  if ("minLength" in found) said.push(`≥ ${found.minLength} characters`);
  if ("maxLength" in found) said.push(`≤ ${found.maxLength} characters`);
  if (found.pattern) said.push(found.pattern);
  const fallback = schema.default;
  if (fallback !== undefined && fallback !== null) said.push(`default ${JSON.stringify(fallback)}`);
  return said.length ? el("span", { class: "type" }, said.join(", ")) : "";
}

function nested(api, schema) {
  return options(schema).flatMap((option) => {
    const found = resolve(api, option);
    if (found.properties) return [found];
    return [found.items, found.additionalProperties].filter((inner) => inner && typeof inner === "object")
      .flatMap((inner) => nested(api, inner));
  });
}

function fieldTable(api, schema) {
  const required = new Set(schema.required || []);
  return table(["Field", "Type", "Bounds"], Object.entries(schema.properties || {}).map(([name, property]) => [
    [el("code", {}, name), required.has(name) ? el("span", { class: "required" }, " required") : ""],
    el("span", { class: "type" }, typeText(api, property)),
    bounds(property),
  ]));
}

function fields(api, schema, seen = new Set()) {
  seen.add(schema.title);
  const parts = schema.description ? paragraphs(schema.description) : [];
  parts.push(fieldTable(api, schema));
  for (const property of Object.values(schema.properties || {})) {
    for (const inner of nested(api, property)) {
      if (seen.has(inner.title)) continue;
      parts.push(el("details", {}, el("summary", {}, inner.title), ...fields(api, inner, seen)));
    }
  }
  return parts;
}

// --- operations -------------------------------------------------------------------------------------

function parametersOf(api, operation) {
  return (operation.parameters || []).map((parameter) => resolve(api, parameter))
    .filter((parameter) => parameter.in !== "header");
}

function scopeOf(operation) {
  return operation.security && operation.security.length ? Object.values(operation.security[0])[0][0] : null;
}

function accessText(operation) {
  return { read: "key: read", trade: "key: trade", admin: "operator's key" }[scopeOf(operation)] || "no key";
}

function curl(api, path, method, operation) {
  let target = path;
  for (const parameter of parametersOf(api, operation)) {
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, parameter.example);
  }
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}'${location.origin}${target}'`];
  if (scopeOf(operation)) lines.push(`-H "X-API-Key: ${scopeOf(operation) === "admin" ? "$ADMIN_KEY" : "$API_KEY"}"`);
  const body = operation.requestBody && operation.requestBody.content["application/json"].example;
  if (body) lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(body)}'`);
  return lines.join(" \\\n  ");
}

function parameterTable(api, operation) {
  const parameters = parametersOf(api, operation);
  if (!parameters.length) return [];
  return [el("h4", {}, "Parameters"), table(["Parameter", "Type", "Bounds", ""], parameters.map((parameter) => [
    [el("code", {}, parameter.name), parameter.required ? el("span", { class: "required" }, " required") : ""],
    el("span", { class: "type" }, typeText(api, parameter.schema)),
    bounds(parameter.schema),
    inline(parameter.description || ""),
  ]))];
}

function body(api, operation) {
  if (!operation.requestBody) return [];
  const schema = resolve(api, operation.requestBody.content["application/json"].schema);
  return [el("h4", {}, operation.requestBody.required ? "Body" : "Body, optional"), ...fields(api, schema)];
}

function success(api, operation) {
  const media = operation.responses["200"].content["application/json"];
  if (!media || !media.example) {
    const type = Object.keys(operation.responses["200"].content)[0];
    return [el("h4", {}, "Answer"), el("p", {}, "Not an envelope: ", el("code", {}, type), ".")];
  }
  const parts = [el("h4", {}, "Answer"), codeBlock(JSON.stringify(media.example, null, 2))];
  const shape = media.schema.allOf[1].properties.data;
  if (shape) parts.push(el("details", {}, el("summary", {}, "Fields of data"), ...fields(api, resolve(api, shape))));
  return parts;
}

function refusals(api, operation) {
  const rows = Object.entries(operation.responses).filter(([status]) => status !== "200")
    .map(([status, response]) => [status, inline(response.description)]);
  return el("details", {}, el("summary", {}, "Errors"), table(["Status", "Codes"], rows));
}

function section(api, path, method, operation) {
  const route = el("div", { class: "route" },
    el("span", { class: `method ${method}` }, method.toUpperCase()), el("span", { class: "path" }, path),
    el("span", { class: "access" }, accessText(operation)));
  return el("section", { class: "operation", id: operation.operationId },
    el("h3", {}, operation.summary), route, ...paragraphs(operation.description || ""),
    ...parameterTable(api, operation), ...body(api, operation),
    el("h4", {}, "Try"), codeBlock(curl(api, path, method, operation)),
    ...success(api, operation), refusals(api, operation));
}

function errorCodes(api) {
  const rows = Object.entries(api["x-error-codes"]).map(([code, row]) =>
    [el("code", {}, code), String(row.status), inline(row.meaning), inline(row.advice)]);
  return [el("h2", { class: "topic", id: "errors" }, "Error codes"),
    table(["Code", "Status", "Meaning", "What to do"], rows)];
}

// --- the socket -------------------------------------------------------------------------------------

function messages(socket, references) {
  return references.map((reference) => resolve(socket, resolve(socket, reference)));
}

function method(socket, operation) {
  const [request] = messages(socket, operation.messages);
  const [answer] = messages(socket, operation.reply.messages);
  const params = resolve(socket, request.payload.properties.params);
  const result = resolve(socket, answer.payload.properties.result);
  const route = el("div", { class: "route" }, el("span", { class: "method get" }, "WS"),
    el("span", { class: "path" }, operation.title), el("span", { class: "access" }, ...inline(operation.description)));
  return el("section", { class: "operation socket", id: `ws-${operation.title}` },
    el("h3", {}, operation.summary), route,
    el("h4", {}, "params"), ...fields(socket, params),
    el("details", {}, el("summary", {}, "Fields of result"), ...fields(socket, result)));
}

function channel(socket, described) {
  const events = messages(socket, Object.values(described.messages)).map((event) =>
    el("details", {}, el("summary", {}, event.title), ...fields(socket, resolve(socket, event.payload))));
  const route = el("div", { class: "route" }, el("span", { class: "method get" }, "WS"),
    el("span", { class: "path" }, described.address));
  return el("section", { class: "operation socket", id: `ws-${described.address}` },
    el("h3", {}, described.summary), route, ...events);
}

function showSocket(socket) {
  const main = document.getElementById("top");
  const links = document.getElementById("links");
  const asked = Object.values(socket.operations).filter((operation) => operation.action === "receive");
  const channels = Object.values(socket.channels).filter((described) => described.address !== "/ws");
  main.append(el("h2", { class: "topic", id: "ws" }, "WebSocket"), ...paragraphs(socket.info.description),
    el("p", {}, "The same as a document for programs: ", el("a", { href: "/asyncapi.json" }, "asyncapi.json"), "."),
    ...asked.map((operation) => method(socket, operation)), ...channels.map((described) => channel(socket, described)));
  links.append(el("h2", {}, "WebSocket"),
    ...asked.map(({ title, summary }) => el("a", { href: `#ws-${title}`, title }, summary)),
    ...channels.map(({ address, summary }) => el("a", { href: `#ws-${address}`, title: summary }, address)));
}

// --- page -------------------------------------------------------------------------------------------

function listed(api) {
  return Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, operation: item[method] })));
}

function show(api) {
  const main = document.getElementById("top");
  const links = document.getElementById("links");
  main.replaceChildren(el("h1", {}, `${api.info.title} API, version ${api.info.version}`),
    ...paragraphs(api.info.description),
    el("p", {}, "The same as a document for programs: ", el("a", { href: "/openapi.json" }, "openapi.json"), "."));
  for (const { name } of api.tags) {
    const rows = listed(api).filter(({ operation }) => operation.tags.includes(name));
    main.append(el("h2", { class: "topic" }, name), ...rows.map((row) => section(api, row.path, row.method, row.operation)));
    links.append(el("h2", {}, name), ...rows.map(({ path, method, operation }) =>
      el("a", { href: `#${operation.operationId}`, title: `${method.toUpperCase()} ${path}` }, operation.summary)));
  }
}

function showErrors(api) {
  document.getElementById("top").append(...errorCodes(api));
  document.getElementById("links").append(el("h2", {}, "Reference"), el("a", { href: "#errors" }, "Error codes"));
}

function filterLinks(text) {
  const wanted = text.toLowerCase();
  for (const link of document.querySelectorAll("#links a")) {
    const words = `${link.textContent} ${link.title}`.toLowerCase();
    link.classList.toggle("hidden", !words.includes(wanted));
  }
}

async function load(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

async function start() {
  document.getElementById("filter").addEventListener("input", (event) => filterLinks(event.target.value));
  try {
    const [api, socket] = await Promise.all([load("/openapi.json"), load("/asyncapi.json")]);
    show(api);
    showSocket(socket);
    showErrors(api);
    if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  } catch (error) {
    document.getElementById("loading").textContent = `The description of the API did not load: ${error.message}`;
  }
}

start();
