"use strict";
// A browser that is busy forgets where the page wants the focus, and a clerk's first keys would be lost.
window.addEventListener("load", () => {
  if (document.activeElement === document.body) document.querySelector("[autofocus]")?.focus();
});

// unfold looks for a text field beside each file field that it has not marked yet, and stumbles where there is none.
window.addEventListener("load", () => {
  document.querySelectorAll("input[type=file]").forEach((field) => { field.hasChangeListener = true; });
});

// A page that comes in pieces is seen before unfold knows whether it is dark; from then on, unfold says so.
(() => {
  const chosen = JSON.parse(localStorage.getItem("adminTheme") || '"auto"');
  const dark = chosen === "dark" || (chosen === "auto" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
  document.addEventListener("alpine:init", () => document.documentElement.classList.remove("dark"));
})();

// A second click while the first is under way sends nothing: it would save twice, or be answered with a refusal.
(() => {
  const WHILE_MS = 3000;
  let form = null, sent = -WHILE_MS;
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target === form && event.timeStamp - sent < WHILE_MS) event.preventDefault();
    else [form, sent] = [event.target, event.timeStamp];
  });
  window.addEventListener("pageshow", () => { form = null; });
})();

document.addEventListener("click", ({ target }) => { if (target.closest("[data-print]")) window.print(); });

// What takes a while says so from the click on, until the answer comes or the reader goes back.
(() => {
  const waiting = (form, is) => form.querySelectorAll("[data-waiting]").forEach((words) => { words.hidden = !is; });
  document.addEventListener("submit", ({ target }) => waiting(target, true));
  window.addEventListener("pageshow", () => waiting(document, false));
})();

// The icons at the side are words to a screen reader ("home Overview"): their pages have names. The sign above them leads
// where the name beside it leads.
document.addEventListener("DOMContentLoaded", () => {
  for (const icon of document.querySelectorAll("#nav-sidebar a .material-symbols-outlined")) {
    const link = icon.closest("a");
    const alone = link.textContent.trim() === icon.textContent.trim();
    (alone ? link : icon).ariaHidden = "true";
    if (alone) link.tabIndex = -1;
  }
});

// The pages at the side are thirty stops of the Tab key: the first stop leads past them.
document.addEventListener("DOMContentLoaded", () => {
  const content = document.getElementById("content");
  if (!content || !document.getElementById("nav-sidebar")) return;
  const skip = document.createElement("a");
  Object.assign(skip, { href: "#content", className: "desk-skip desk-button", textContent: "Skip to the page" });
  content.tabIndex = -1;
  document.body.prepend(skip);
});

// Lists that are searched while typing stand in for a select, whose label they do not take over: name them.
(() => {
  const name = (shown) => {
    const select = shown.previousElementSibling;
    const label = select?.labels?.[0];
    if (!label) return;
    label.id ||= `${select.id}-label`;
    for (const part of shown.querySelectorAll("[role=combobox], [role=textbox], [role=searchbox]")) {
      const value = part.getAttribute("role") === "combobox" && part.querySelector("[role=textbox]");
      part.setAttribute("aria-labelledby", [label.id, value?.id].filter(Boolean).join(" "));
    }
  };
  // They appear when the page is ready, and with every row that is added to a form.
  new MutationObserver(() => document.querySelectorAll(".select2-container").forEach(name)).observe(document, {
    childList: true,
    subtree: true,
  });
  document.addEventListener("focusin", ({ target }) => {
    if (target.matches(".select2-container--open .select2-search__field")) target.setAttribute("aria-label", "Search");
  });
})();

// A page about what waits, [data-refresh] in seconds, is loaded anew, unless somebody types, chooses or has just touched it.
(() => {
  const QUIET_MS = 10000;
  let touched = -QUIET_MS;
  for (const what of ["keydown", "pointerdown", "wheel"]) {
    document.addEventListener(what, () => { touched = performance.now(); }, { passive: true });
  }
  const changed = (field) => field.type === "checkbox" || field.type === "radio"
    ? field.checked !== field.defaultChecked
    : field.matches("input:not([type=hidden]), textarea") && field.value !== field.defaultValue;
  const busy = () => document.hidden
    || performance.now() - touched < QUIET_MS
    || document.activeElement?.matches("input, textarea, select")
    || document.querySelector("dialog[open]")
    || [...document.querySelectorAll("#content input, #content textarea")].some(changed);
  document.addEventListener("DOMContentLoaded", () => {
    const part = document.querySelector("[data-refresh]");
    if (!part) return;
    let wait = Number(part.dataset.refresh);
    setInterval(() => { wait -= 1; if (wait <= 0 && !busy()) { wait = Infinity; location.reload(); } }, 1000);
  });
})();
