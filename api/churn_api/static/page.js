// Keeps the answer in step with the form. Without this file the page works by its buttons.
"use strict";

const WAIT_MILLISECONDS = 250;
const form = document.getElementById("customer");
const answer = document.getElementById("answer");
const said = document.getElementById("said");
const sight = new IntersectionObserver(([seen]) => {
  const away = !seen.isIntersecting && said.textContent !== "";
  said.className = away ? "said away" : "visually-hidden";
});
let asked = null;
let waiting = 0;

async function ask() {
  asked?.abort();
  const mine = (asked = new AbortController());
  const body = new FormData(form);
  const token = body.get("csrf_token");
  body.set("do", "what-if");
  answer.setAttribute("aria-busy", "true");
  try {
    const options = { method: "POST", body: new URLSearchParams(body), headers: { "X-CSRF-Token": token }, signal: mine.signal };
    const response = await fetch("/what-if", options);
    show(await response.text());
  } catch (error) {
    if (error.name === "AbortError") return; // a newer question is on its way
    said.textContent = "The answer did not arrive. Press “Show what changes” to ask again.";
  }
  if (asked === mine) answer.removeAttribute("aria-busy");
}

function show(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  for (const each of parsed.querySelectorAll("[autofocus]")) each.removeAttribute("autofocus");
  const hadFocus = answer.contains(document.activeElement);
  answer.replaceChildren(...parsed.body.childNodes);
  if (hadFocus) answer.querySelector("#answer-title, #problem")?.focus({ preventScroll: true });
  said.textContent = answer.querySelector("[data-said]")?.dataset.said ?? "";
  sight.disconnect();
  sight.observe(answer.querySelector(".gauge, #problem") ?? answer);
  const wrong = new Set([...answer.querySelectorAll("#problem a[href^='#field-']")].map((link) => link.hash.slice(1)));
  for (const input of form.querySelectorAll("input[id], select")) {
    if (wrong.has(input.id)) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(ask, WAIT_MILLISECONDS);
}

function tryOne(event) {
  if (!event.target.matches("form.effects") || !event.submitter) return;
  const [name, ...rest] = event.submitter.value.split("=");
  const input = form.elements.namedItem(name);
  if (!input) return;
  event.preventDefault();
  input.value = rest.join("=");
  ask();
}

if (form?.hasAttribute("data-live")) {
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => {
    if (event.submitter?.value === "score") return;
    event.preventDefault();
    clearTimeout(waiting);
    ask();
  });
  answer.addEventListener("submit", tryOne);
}
