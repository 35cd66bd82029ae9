// Makes uploading quicker: several files with a progress line each, drop and paste. Without it the form works as it is.
const form = document.querySelector("#upload-form");
const list = document.querySelector("#upload-list");
const picker = form?.querySelector("input[type=file]");
const korean = document.documentElement.lang === "ko";
const words = korean
  ? { waiting: "기다리는 중", removed: "지운 것", open: "열기", failed: "올리지 못했습니다", nothing: "숨은 정보 없음" }
  : { waiting: "waiting", removed: "removed", open: "open", failed: "not uploaded", nothing: "no hidden data" };

function row(file) {
  const item = document.createElement("li");
  item.className = "sheet stack tight";
  const name = document.createElement("b");
  name.textContent = file.name;
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  const state = document.createElement("span");
  state.textContent = words.waiting;
  item.append(name, bar, state);
  list.append(item);
  return { bar, state };
}

function send(file, { bar, state }) {
  return new Promise((done) => {
    const data = new FormData(form);
    data.delete("file");
    data.append("file", file);
    const request = new XMLHttpRequest();
    request.open("POST", "/upload");
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => { bar.value = event.loaded / event.total; };
    request.onerror = () => { state.textContent = words.failed; done(); };
    request.onload = () => {
      bar.value = 1;
      let result = {};
      try { result = JSON.parse(request.responseText).files?.[0] ?? {}; } catch { /* an error page */ }
      if (request.status === 201 && result.id) {
        const link = document.createElement("a");
        link.href = result.page_url;
        link.textContent = words.open;
        const told = result.removed.length ? `${words.removed}: ${result.removed.join(", ")} ` : `${words.nothing} `;
        state.replaceChildren(told, link);
      } else {
        state.textContent = result.error ?? words.failed;
      }
      done();
    };
    request.send(data);
  });
}

async function sendAll(files) {
  const waiting = files.map((file) => [file, row(file)]);
  for (const [file, line] of waiting) await send(file, line);
}

if (form && picker) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sendAll([...picker.files]);
    picker.value = "";
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) sendAll(files);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    sendAll([...(event.dataTransfer?.files ?? [])]);
  });
}
