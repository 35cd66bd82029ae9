// Left and right arrows lead to the pictures beside this one, unless somebody is writing or choosing.
const busy = "input, textarea, select, details[open] *, [role=dialog] *";

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.isComposing) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (!rel || event.target.closest?.(busy)) return;
  const link = document.querySelector(`.stage a[rel="${rel}"]`);
  if (!link) return;
  event.preventDefault();
  link.click();
});
