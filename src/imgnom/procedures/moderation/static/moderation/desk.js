// J and K walk through the list, E goes to the reason. They work while the focus stands in the list only, so that
// nobody's typing or speech is taken for a command; without script the list is a list of links.
const list = document.querySelector(".desk .queue");
const keys = document.querySelector(".desk .keys");
if (keys && list) keys.hidden = false;

const rows = list ? [...list.querySelectorAll(".queue-row")] : [];
const chosen = rows.find((row) => row.hasAttribute("aria-current"));
if (chosen && location.hash === "#list") {
  chosen.focus({ preventScroll: true });
  chosen.scrollIntoView({ block: "nearest" });
}

list?.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const here = rows.indexOf(event.target.closest(".queue-row"));
  const step = { KeyJ: 1, KeyK: -1 }[event.code];
  if (step && rows[here + step]) {
    event.preventDefault();
    const url = new URL(rows[here + step].href);
    url.hash = "list";
    location.assign(url);
  }
  if (event.code === "KeyE") {
    const reason = document.querySelector("#id_reason");
    if (!reason) return;
    event.preventDefault();
    reason.focus();
  }
});
