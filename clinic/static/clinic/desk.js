"use strict";
// A browser that is busy forgets where the page wants the focus, and a clerk's first keys would be lost.
window.addEventListener("load", () => {
  if (document.activeElement === document.body) document.querySelector("[autofocus]")?.focus();
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
