// Behaviour of the page: take a photo by drop, choice or paste, ask /v1/tags, show the answer.

const TOP_K = 10;
const MIN_CONFIDENCE = 0.005;
const TOAST_MS = 1800;

const at = (id) => document.getElementById(id);
const main = at("main");
let asked = 0; // the answer to an earlier photo must not replace a later one's
let tags = [];

async function suggest(file) {
  const mine = ++asked;
  preview(file);
  show("busy", "Looking at the photo…");
  at("tags").replaceChildren(...Array.from({ length: 5 }, () => document.createElement("li")));
  try {
    const found = await ask(file);
    if (mine === asked) list(found);
  } catch (error) {
    if (mine !== asked) return;
    at("problem").textContent = error.message;
    show("problem", "That did not work");
  }
}

async function ask(file) {
  const form = new FormData();
  form.append("image", file);
  form.append("top_k", TOP_K);
  form.append("min_confidence", MIN_CONFIDENCE);
  const response = await fetch("v1/tags", { method: "POST", body: form }).catch(() => {
    throw new Error("The server does not answer. Is it still running?");
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(explain(response.status, answer.error));
  return answer.tags;
}

function explain(status, error) {
  const sentences = {
    empty: "This file is empty.",
    not_image: "This file is not an image, or not of a kind that is known here.",
    truncated: "This image is incomplete. Was it cut off while it was copied?",
    broken: "This image is damaged and cannot be read.",
    oversized: "This image has too many pixels. A smaller copy of it will do.",
    too_large: "This file is too big. A smaller copy of it will do.",
  };
  if (status === 503) return "The server has too much to do. Please try again in a moment.";
  return sentences[error?.code] ?? error?.message ?? `The server answered with status ${status}.`;
}

function preview(file) {
  const image = at("preview");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  image.hidden = false;
  at("drop").classList.add("previewed");
}

function list(found) {
  tags = found;
  at("tags").replaceChildren(...found.map(chip));
  show("done", found.length ? "Suggested hashtags" : "No hashtag fits well enough");
  at("copy").hidden = !found.length;
}

function chip(tag) {
  const percent = `${(tag.confidence * 100).toFixed(tag.confidence < 0.1 ? 1 : 0)} %`;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip";
  button.title = [`Copy ${tag.hashtag}`, ...tag.aliases].join("  ");
  button.style.setProperty("--share", tag.confidence);
  button.append(text("b", tag.hashtag), text("small", tag.parents.slice(0, 2).join(" · ")));
  button.append(text("output", percent));
  button.addEventListener("click", () => copy([tag.hashtag]));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function text(element, content) {
  const node = document.createElement(element);
  node.textContent = content;
  return node;
}

function show(state, heading) {
  main.dataset.state = state;
  at("heading").textContent = heading;
}

async function copy(hashtags) {
  const line = hashtags.join(" ");
  try {
    await navigator.clipboard.writeText(line);
    toast(hashtags.length > 1 ? `Copied ${hashtags.length} hashtags` : `Copied ${line}`);
  } catch {
    toast("The browser does not let this page copy"); // it does so on https and on localhost
  }
}

function toast(message) {
  const element = at("toast");
  element.textContent = message;
  element.classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => element.classList.remove("shown"), TOAST_MS);
}

function firstFile(transfer) {
  return [...(transfer?.files ?? [])][0];
}

at("file").addEventListener("change", (event) => {
  const file = event.target.files[0];
  if (file) suggest(file);
  event.target.value = ""; // the same file can be chosen again
});
at("preview").addEventListener("error", () => {
  at("preview").hidden = true; // a format that the server may know and the browser does not
  at("drop").classList.remove("previewed");
});
at("copy").addEventListener("click", () => copy(tags.map((tag) => tag.hashtag)));

for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, () => at("drop").classList.remove("over"));
}
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const file = firstFile(event.dataTransfer);
  if (file) suggest(file);
});
document.addEventListener("paste", (event) => {
  const file = firstFile(event.clipboardData);
  if (file) suggest(file);
});

fetch("healthz")
  .then((response) => response.json())
  .then(({ model }) => {
    const version = model.version ? ` (version ${model.version})` : "";
    at("model").textContent = `${model.name}${version}, ${model.labels} labels`;
  })
  .catch(() => {});
