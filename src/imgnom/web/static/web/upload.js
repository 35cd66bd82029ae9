// Makes uploading quicker: drop, paste or pick many at once, a line with its own progress for each; pause, cancel, try again.
// A line that lost its connection or was told to wait goes on by itself. A paused file is sent again from its beginning.
// Without it the form works as it is. Texts are set as text, never as markup (trusted types).
import { copyText } from "./copy.js";
import { tell } from "./tell.js";

const AT_ONCE = 2;
const AGAIN_SECONDS = 10;
const ADDRESS = "/upload";
const ICONS = {
  image: "M4 5h16v14H4ZM4 16l5-5 4 4 3-3 4 4M15.5 9h.1",
  warn: "M12 4 2.8 20h18.4ZM12 10v4.5M12 17v.4",
  cross: "M6 6l12 12M18 6 6 18",
  pause: "M9 6v12M15 6v12",
  retry: "M19 12a7 7 0 1 1-2-5l2 2M19 4v5h-5",
  link: "M9 15l6-6M10.5 7l2-2a4 4 0 0 1 6 6l-2 2M13.5 17l-2 2a4 4 0 0 1-6-6l2-2",
};
const WORDS = {
  ko: {
    waiting: "차례를 기다립니다",
    working: "다 받았습니다. 차례가 되면 위치·기기 정보를 지웁니다",
    sent: (sent, all, share) => `${share} % · ${all} MB 가운데 ${sent} MB`,
    removed: (what) => `올렸습니다 · 지운 것: ${what}`,
    nothing: "올렸습니다 · 숨은 정보가 없었습니다",
    open: "사진 보기",
    copy: "복사",
    copied: "주소를 복사했습니다",
    notCopied: "복사하지 못했습니다. 사진 페이지에서 주소를 가져가 주세요.",
    cancel: "그만두기",
    retry: "다시 올리기",
    drop: "목록에서 빼기",
    empty: "빈 파일입니다. 다른 파일을 골라 주세요.",
    folder: "폴더는 받지 않습니다. 안의 사진을 골라 주세요.",
    offline: "연결이 끊겼습니다. 다시 이어지면 저절로 올립니다.",
    pause: "잠시 멈추기",
    paused: "멈춰 두었습니다. 이어서 올리면 처음부터 다시 보냅니다.",
    goOn: "이어서 올리기",
    canceled: "그만두었습니다",
    signedOut: "로그인이 끝났습니다. 로그인한 뒤 다시 올려 주세요.",
    tooLarge: "받을 수 있는 크기를 넘었습니다. 줄여서 다시 올려 주세요.",
    tooMany: (seconds) => `처리 중인 사진이 많아 차례를 기다립니다. ${seconds}초 뒤에 자동으로 다시 올립니다.`,
    failed: "올리지 못했습니다. 다시 해 보세요.",
    total: (done, all) => `${all}장 가운데 ${done}장을 올렸습니다`,
    totalFailed: (failed) => ` · ${failed}장은 올리지 못했습니다`,
    all: "모든 파일",
  },
  en: {
    waiting: "Waiting for its turn",
    working: "Received. Hidden data is removed when its turn comes",
    sent: (sent, all, share) => `${share} % · ${sent} of ${all} MB`,
    removed: (what) => `Up · removed: ${what}`,
    nothing: "Up · nothing was hidden in this file",
    open: "See the picture",
    copy: "Copy",
    copied: "Address copied",
    notCopied: "Not copied. Take the address from the picture's page.",
    cancel: "Cancel",
    retry: "Try again",
    drop: "Remove from the list",
    empty: "This file is empty. Choose another.",
    folder: "Folders are not accepted. Choose the pictures in it.",
    offline: "The connection was lost. It goes on by itself when you are back.",
    pause: "Pause",
    paused: "Paused. Going on sends the file from its beginning.",
    goOn: "Go on",
    canceled: "Cancelled",
    signedOut: "You are signed out. Sign in and upload it again.",
    tooLarge: "Larger than we accept. Make it smaller and try again.",
    tooMany: (seconds) => `Many pictures are waiting. This one is sent again in ${seconds} seconds.`,
    failed: "Not uploaded. Try again.",
    total: (done, all) => `${done} of ${all} are up`,
    totalFailed: (failed) => ` · ${failed} could not be uploaded`,
    all: "All files",
  },
};
const words = document.documentElement.lang === "ko" ? WORDS.ko : WORDS.en;

const form = document.querySelector("#upload-form");
const picker = form?.querySelector("input[type=file]");
let busy = 0;
const queue = [];
const lines = [];

// The form carries the words of each kind of hidden data, in the order in which people care; a new kind is told as "other".
function named(kinds) {
  const known = Object.entries(form.dataset).filter(([name]) => name.startsWith("kind"));
  const word = (kind) => known.find(([name]) => name.slice(4).toLowerCase() === kind)?.[1];
  const told = new Set(kinds.map((kind) => word(kind) ?? word("other") ?? kind));
  return [...known.map(([, text]) => text).filter((text) => told.delete(text)), ...told];
}

function make(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

function button(words, picture, act, file) {
  const made = make("button", "btn quiet small");
  made.type = "button";
  made.append(icon(picture), make("span", "", words), make("span", "sr-only", ` ${file.name}`));
  made.addEventListener("click", act);
  return made;
}

// The head with the count, the bar for all, and the live region: one quiet sentence, not every percent.
const board = (() => {
  if (!form) return null;
  const sheet = make("section", "sheet");
  const head = make("h2");
  const bar = make("progress", "thick");
  const list = document.querySelector("#upload-list") ?? make("ul");
  const live = make("p", "sr-only");
  head.id = "upload-count";
  sheet.setAttribute("aria-labelledby", head.id);
  sheet.hidden = true;
  bar.setAttribute("aria-label", words.all);
  bar.max = 1;
  list.className = "files";
  list.removeAttribute("aria-live");
  live.setAttribute("role", "status");
  if (list.isConnected) list.replaceWith(sheet);
  else form.prepend(sheet);
  sheet.append(head, bar, list, live);
  return { sheet, head, bar, list, live };
})();

function count() {
  const done = lines.filter((line) => line.state === "done").length;
  const failed = lines.filter((line) => line.state === "failed").length;
  const shares = lines.map((line) => (line.state === "failed" ? 1 : line.share));
  const text = words.total(done, lines.length) + (failed ? words.totalFailed(failed) : "");
  board.sheet.hidden = lines.length === 0;
  board.head.textContent = text;
  board.bar.value = shares.length ? shares.reduce((sum, share) => sum + share, 0) / shares.length : 0;
  if (!busy && !queue.length && lines.length) board.live.textContent = text;
}

class Line {
  constructor(file) {
    this.file = file;
    this.share = 0;
    this.request = null;
    this.timer = 0;
    this.goesOnByItself = false;
    this.after = () => {};
    this.item = make("li", "file");
    this.thumb = make("div", "thumb blank");
    this.thumb.append(icon("image"));
    this.bar = make("progress");
    this.bar.max = 1;
    this.bar.setAttribute("aria-label", file.name);
    this.doing = make("div", "doing");
    this.acts = make("div", "acts");
    this.item.append(this.thumb, make("div", "name", file.name), this.bar, this.doing, this.acts);
    board.list.append(this.item);
    lines.push(this);
    this.preview();
  }

  preview() {
    if (!this.file.type.startsWith("image/") || !this.file.size) return;
    const image = make("img");
    const address = URL.createObjectURL(this.file);
    image.alt = "";
    image.addEventListener("load", () => {
      this.thumb.className = "thumb";
      this.thumb.replaceChildren(image);
      URL.revokeObjectURL(address);
    });
    image.addEventListener("error", () => URL.revokeObjectURL(address));
    image.src = address;
  }

  show(state, text, ...acts) {
    this.state = state;
    this.item.dataset.state = state;
    this.doing.replaceChildren(text);
    this.bar.hidden = state === "done" || state === "failed" || state === "paused";
    this.acts.replaceChildren(...acts);
    count();
  }

  pauseAndCancel() {
    return [
      button(words.pause, "pause", () => this.stop(() => this.hold(words.paused)), this.file),
      button(words.cancel, "cross", () => this.stop(() => this.fail(words.canceled)), this.file),
    ];
  }

  wait() {
    this.share = 0;
    clearTimeout(this.timer);
    this.show("waiting", words.waiting, ...this.pauseAndCancel());
  }

  // Takes the line out of the queue or off the wire; `then` says what it is now.
  stop(then) {
    const place = queue.indexOf(this);
    if (place >= 0) queue.splice(place, 1);
    this.after = then;
    if (this.request) this.request.abort();
    else then();
    this.acts.querySelector("button")?.focus();
  }

  // Not sent and not given up. With seconds it goes on by itself, and when the connection is back.
  hold(text, seconds = 0) {
    this.request = null;
    this.share = 0;
    this.goesOnByItself = text !== words.paused;
    if (seconds) this.timer = setTimeout(() => enqueue(this), 1000 * seconds);
    const on = button(words.goOn, "retry", () => enqueue(this), this.file);
    const away = button(words.drop, "cross", () => this.leave(), this.file);
    this.show("paused", text, on, away);
  }

  fail(text) {
    this.request = null;
    const again = button(words.retry, "retry", () => enqueue(this), this.file);
    const away = button(words.drop, "cross", () => this.leave(), this.file);
    if (this.thumb.classList.contains("blank")) this.thumb.replaceChildren(icon("warn"));
    this.show("failed", text, again, away);
  }

  leave() {
    clearTimeout(this.timer);
    const next = this.item.nextElementSibling ?? this.item.previousElementSibling;
    lines.splice(lines.indexOf(this), 1);
    this.item.remove();
    (next?.querySelector("button, a") ?? picker).focus();
    count();
  }

  succeed(result) {
    this.request = null;
    this.share = 1;
    const removed = Array.isArray(result.removed) ? result.removed : [];
    const told = make("span", "", removed.length ? words.removed(named(removed).join(", ")) : words.nothing);
    const link = make("a", "btn small", words.open);
    link.href = result.page_url;
    const copy = button(words.copy, "link", async () => {
      tell((await copyText(link.href)) ? words.copied : words.notCopied);
    }, this.file);
    this.show("done", told, copy, link);
  }

  answer(request) {
    let body = {};
    try {
      body = JSON.parse(request.responseText) ?? {};
    } catch { /* a page, not data: the status says enough */ }
    const result = Array.isArray(body.files) ? body.files[0] ?? {} : {};
    if (request.status >= 200 && request.status < 300 && result.id && result.page_url) return this.succeed(result);
    const named = Object.values(body.errors ?? {}).flat().map((error) => error.message ?? error).join(" ");
    if (request.status === 401) return this.fail(words.signedOut);
    const wait = Number(request.getResponseHeader("Retry-After"));
    if (request.status === 429 || (request.status === 503 && wait)) return this.hold(words.tooMany(wait || 60), wait || 60);
    return this.fail(result.error || named || (request.status === 413 ? words.tooLarge : body.message) || words.failed);
  }

  progress(event) {
    if (!event.lengthComputable || this.state !== "busy") return;
    const megabytes = (bytes) => (bytes / 1048576).toFixed(1);
    this.share = 0.95 * (event.loaded / event.total);
    this.bar.value = event.loaded / event.total;
    const share = Math.floor((100 * event.loaded) / event.total);
    this.doing.textContent =
      event.loaded === event.total ? words.working : words.sent(megabytes(event.loaded), megabytes(event.total), share);
    count();
  }

  send() {
    return new Promise((done) => {
      const data = new FormData(form);
      data.delete(picker.name);
      data.append(picker.name, this.file, this.file.name);
      const request = new XMLHttpRequest();
      this.request = request;
      this.bar.value = 0;
      request.open("POST", ADDRESS);
      request.setRequestHeader("Accept", "application/json");
      request.upload.addEventListener("progress", (event) => this.progress(event));
      request.addEventListener("error", () => this.hold(words.offline, navigator.onLine ? AGAIN_SECONDS : 0));
      request.addEventListener("abort", () => this.after());
      request.addEventListener("load", () => this.answer(request));
      request.addEventListener("loadend", () => done());
      this.show("busy", words.waiting, ...this.pauseAndCancel());
      request.send(data);
    });
  }
}

async function work() {
  while (busy < AT_ONCE && queue.length) {
    const line = queue.shift();
    busy += 1;
    line.send().finally(() => {
      busy -= 1;
      count();
      work();
    });
  }
}

function enqueue(line) {
  if (line.state === "waiting" || line.state === "busy") return undefined;
  if (!line.file.size) return line.fail(words.empty);
  line.wait();
  queue.push(line);
  return work();
}

function add(files) {
  for (const file of files) enqueue(new Line(file));
}

// A dropped folder looks like a file without content; its entry tells.
function dropped(transfer) {
  const items = [...(transfer.items ?? [])].filter((item) => item.kind === "file");
  if (items.some((item) => item.webkitGetAsEntry?.()?.isDirectory)) tell(words.folder);
  if (!items.length) return [...transfer.files];
  return items
    .filter((item) => !item.webkitGetAsEntry?.()?.isDirectory)
    .map((item) => item.getAsFile())
    .filter(Boolean);
}

if (form && picker && board) {
  const zone = document.querySelector(".drop") ?? form;
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add([...picker.files]);
    picker.value = "";
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    add(files);
  });
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.dataset.over = "";
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) delete zone.dataset.over;
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    delete zone.dataset.over;
    add(dropped(event.dataTransfer));
  });
  window.addEventListener("online", () => {
    for (const line of lines) if (line.state === "paused" && line.goesOnByItself) enqueue(line);
  });
  window.addEventListener("beforeunload", (event) => {
    if (busy || queue.length) event.preventDefault();
  });
}
