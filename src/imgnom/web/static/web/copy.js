// Copy buttons. Without script they stay hidden and the value is a field that can be selected by hand.
import { tell } from "./tell.js";

export async function copyText(text, field) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain http or a browser that refuses: select, so that the keyboard does the rest.
    if (!field) return false;
    field.focus();
    field.select();
    return document.execCommand?.("copy") ?? false;
  }
}

for (const box of document.querySelectorAll("[data-copy]")) {
  const field = box.querySelector("input");
  const button = box.querySelector("button");
  if (!field || !button) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const copied = await copyText(field.value, field);
    tell(copied ? button.dataset.done : button.dataset.failed);
  });
  field.addEventListener("focus", () => field.select());
}
