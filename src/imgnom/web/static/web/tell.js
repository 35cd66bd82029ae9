// One line in the page's live region: seen for a few seconds, read out once. For news only, never for an error.
const SHOWN_MS = 4000;

export function tell(words) {
  const place = document.querySelector(".toasts");
  if (!place || !words) return;
  const line = document.createElement("p");
  line.className = "toast";
  line.textContent = words;
  place.replaceChildren(line);
  setTimeout(() => line.remove(), SHOWN_MS);
}
