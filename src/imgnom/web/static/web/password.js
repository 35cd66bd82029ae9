// Shows a password on request and counts the characters of a new one. It is hidden again before the form is sent, so that
// no browser keeps it among the texts it offers next time.
for (const secret of document.querySelectorAll("[data-secret]")) {
  const field = secret.querySelector("input");
  const button = secret.querySelector("button");
  if (!field || !button) continue;
  const show = (shown) => {
    field.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    button.textContent = shown ? button.dataset.hide : button.dataset.show;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    show(field.type === "password");
    field.focus();
  });
  field.form?.addEventListener("submit", () => show(false));

  const count = secret.parentElement.querySelector("[data-counted]");
  if (!count || !("count" in secret.dataset)) continue;
  const tellCount = () => {
    // Characters as people count them: one per code point, not per half of a pair.
    count.textContent = count.dataset.counted.replace("{n}", String([...field.value].length));
  };
  count.hidden = false;
  field.addEventListener("input", tellCount);
  tellCount();
}
