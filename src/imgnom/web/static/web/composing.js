// While Hangul is being composed, Enter ends the syllable; it may not send the form.
// Browsers disagree: some mark that key as composing, some send it right after the composition ended with key code 229.
let composing = false;
document.addEventListener("compositionstart", () => { composing = true; }, true);
document.addEventListener("compositionend", () => {
  // The key that ended it comes in the same turn; what comes later is a key of its own.
  setTimeout(() => { composing = false; }, 0);
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (composing || event.isComposing || event.keyCode === 229)) {
    event.preventDefault();
    event.stopPropagation();
  }
}, true);
document.addEventListener("submit", (event) => {
  // A press on a button is meant, even if the last syllable is still open.
  if (composing && !event.submitter?.matches(":active, :focus")) {
    event.preventDefault();
    event.stopPropagation();
  }
}, true);
