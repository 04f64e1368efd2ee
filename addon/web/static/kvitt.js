// Comfort only: every page works without this.
"use strict";

// One box that ticks a whole list.
document.addEventListener("change", (event) => {
  const all = event.target;
  if (!all.matches || !all.matches(".tick-all")) return;
  for (const box of all.closest("table").querySelectorAll("tbody input[type=checkbox]")) box.checked = all.checked;
});
const showTickAll = () => {
  for (const all of document.querySelectorAll(".tick-all")) all.hidden = false;
};
document.addEventListener("DOMContentLoaded", showTickAll);

// A button that was pressed waits for its answer: no second press.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.defaultPrevented) return;
  setTimeout(() => {
    button.setAttribute("aria-busy", "true");
    for (const each of event.target.querySelectorAll("button")) each.disabled = true;
  }, 0);
});
// Coming back with the browser's button shows the page as it was, buttons and all.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const each of document.querySelectorAll("button[aria-busy]")) {
    each.removeAttribute("aria-busy");
    for (const other of each.closest("form").querySelectorAll("button")) other.disabled = false;
  }
});

// A step that the address names is open. Other things keep closed what they keep closed.
const openNamed = () => {
  const named = location.hash && document.getElementById(location.hash.slice(1));
  const closed = named && named.matches(".stepper > li") && named.querySelector("details");
  if (closed) closed.open = true;
};
document.addEventListener("DOMContentLoaded", openNamed);
window.addEventListener("hashchange", openNamed);
