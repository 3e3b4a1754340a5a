"use strict";
// holdtrue report. Every text of a transcript becomes a text node; nothing is ever parsed as HTML.

const byId = (id) => document.getElementById(id);

/** An element with properties, attributes (in `attr`, `data`) and children (nodes or text). */
function make(tag, { attr = {}, data = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attr)) element.setAttribute(name, value);
  Object.assign(element.dataset, data);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// ---- Theme -------------------------------------------------------------------------------------

const THEMES = { system: "◐", light: "☀", dark: "☾" };

function remembered() {
  try { return localStorage.getItem("holdtrue-theme"); } catch { return null; }
}

function applyTheme(name) {
  const known = name in THEMES ? name : "system";
  if (known === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = known;
  byId("theme-sign").textContent = THEMES[known];
  byId("theme-name").textContent = `Theme: ${known}`;
  try { localStorage.setItem("holdtrue-theme", known); } catch { /* a page may be denied storage */ }
  return known;
}

function setUpTheme() {
  let theme = applyTheme(remembered());
  const button = byId("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    theme = applyTheme(names[(names.indexOf(theme) + 1) % names.length]);
  });
}

function setUpNavigation() {
  const links = new Map([...document.querySelectorAll(".top nav a")].map((a) => [a.hash.slice(1), a]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const [anchor, link] of links) {
        if (anchor === entry.target.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const part of document.querySelectorAll(".part")) watcher.observe(part);
}

// ---- Text --------------------------------------------------------------------------------------

// Control, format, surrogate, private-use and line-separator characters are shown, not obeyed.
// Joiners inside emoji and scripts that need them are left alone.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\u2028\u2029]/gu;
const HARMLESS = new Set(["\n", "\t", "\u200c", "\u200d"]);

/** `text` as nodes, hidden characters as small boxes with their code points. */
function shown(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (HARMLESS.has(match[0])) continue;
    if (match.index > from) nodes.push(document.createTextNode(text.slice(from, match.index)));
    const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    nodes.push(make("span", { className: "ctl", textContent: `U+${code}` }));
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.push(document.createTextNode(text.slice(from)));
  return nodes;
}

/** `text` with every occurrence of `needle` (lower case) marked. */
function searched(text, needle) {
  if (!needle) return shown(text);
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return shown(text);  // lower case moved the offsets
  const nodes = [];
  let from = 0;
  for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, at + needle.length)) {
    nodes.push(...shown(text.slice(from, at)));
    nodes.push(make("mark", { className: "hit" }, ...shown(text.slice(at, at + needle.length))));
    from = at + needle.length;
  }
  nodes.push(...shown(text.slice(from)));
  return nodes;
}

/** A reply with its spans marked; overlapping spans are cut into pieces that name all of them. */
function highlighted(turn, needle, texts, names) {
  const text = turn.response;
  if (!text.trim()) return [make("span", { className: "empty", textContent: text ? "(white space only)" : "(no text)" })];
  const spans = turn.spans || [];
  const edges = [...new Set([0, text.length, ...spans.flatMap(([start, end]) => [start, end])])].sort((a, b) => a - b);
  const nodes = [];
  for (let i = 0; i + 1 < edges.length; i += 1) {
    const [start, end] = [edges[i], edges[i + 1]];
    const inside = spans.filter((span) => span[0] <= start && span[1] >= end);
    const content = searched(text.slice(start, end), needle);
    if (!inside.length) { nodes.push(...content); continue; }
    const reasons = inside.map(([, , key, reason]) => `${names[key] || key}: ${texts[reason]}`);
    nodes.push(make("mark", { tabIndex: 0, data: { key: inside[0][2], reason: reasons.join("\n") }, attr: { "aria-describedby": "tip" } }, ...content));
  }
  return nodes;
}

// ---- The reason of a finding, on hover and on focus ---------------------------------------------

function setUpTip() {
  const tip = byId("tip");
  let told = null;  // the mark whose reason stands there, or was closed with Escape
  const hide = () => { tip.hidden = true; };
  const forget = () => { told = null; hide(); };
  const show = (event) => {
    const target = event.target.closest?.("mark[data-reason]");
    const pointed = event.type !== "focusin";
    if (!target) { if (pointed) forget(); return; }
    if (pointed && target === told) return;
    told = target;
    tip.replaceChildren(...shown(target.dataset.reason));
    tip.hidden = false;
    const box = target.getClientRects()[0];
    const width = tip.offsetWidth, height = tip.offsetHeight;
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
    tip.style.top = `${box.top - height - 8 > 0 ? box.top - height - 8 : box.bottom + 8}px`;
  };
  document.addEventListener("mouseover", show);
  document.addEventListener("mousemove", show);  // no mouseover comes for the mark that stays under the pointer
  document.addEventListener("focusin", show);
  document.addEventListener("focusout", forget);
  document.addEventListener("scroll", forget, { passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}

// ---- Transcripts -------------------------------------------------------------------------------

const PAGE = 25;    // sessions drawn at once
const LONG = 2500;  // characters beyond which a reply scrolls in its own box

class Browser {
  constructor(data) {
    Object.assign(this, data);
    this.pressed = new Set();
    this.limit = PAGE;
    this.many = this.arms.length > 1;
    this.names = { ...this.findings, failed: "Failed session" };
    for (const session of this.sessions) {
      session.lower = session.turns.map((turn) => `${this.texts[turn.prompt]}\n${turn.response}`.toLowerCase());
    }
  }

  setUp() {
    this.chips();
    const turns = Math.max(0, ...this.sessions.map((session) => session.turns.length));
    for (let turn = 1; turn <= turns; turn += 1) byId("filter-turn").append(new Option(String(turn), String(turn)));
    if (this.many) {
      byId("arm-field").hidden = false;
      this.arms.forEach((arm, position) => byId("filter-arm").append(new Option(arm, String(position))));
    }
    const form = byId("filters");
    let last = JSON.stringify(this.wanted());
    const again = () => {
      const now = JSON.stringify(this.wanted());
      if (now === last) return;  // leaving a field must not close what was opened since
      last = now;
      this.limit = PAGE;
      this.draw();
    };
    let timer;
    form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(again, 120); });
    form.addEventListener("change", () => { clearTimeout(timer); again(); });
    form.addEventListener("submit", (event) => { event.preventDefault(); again(); });
    form.addEventListener("reset", () => {
      this.pressed.clear();
      for (const chip of form.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", "false");
      setTimeout(again);
    });
    byId("more").addEventListener("click", () => {
      const before = byId("sessions").childElementCount;
      this.limit += PAGE;
      this.draw();
      byId("sessions").children[before]?.querySelector("summary").focus();
    });
    byId("view-list").addEventListener("click", () => this.view("list"));
    byId("view-pair").addEventListener("click", () => this.view("pair"));
    byId("browser").hidden = false;
    this.draw();
    addEventListener("hashchange", () => this.jump());
    this.jump();
  }

  chips() {
    const counts = {};
    for (const session of this.sessions) {
      if (session.error) counts.failed = (counts.failed || 0) + 1;
      for (const turn of session.turns) for (const key of turn.found || []) counts[key] = (counts[key] || 0) + 1;
    }
    for (const [key, name] of Object.entries(this.names)) {
      if (key === "failed" && !counts.failed) continue;
      const chip = make("button", { type: "button", className: "chip", disabled: !counts[key], data: { key }, attr: { "aria-pressed": "false" } },
        name, make("b", { textContent: String(counts[key] || 0) }));
      chip.addEventListener("click", () => {
        const on = !this.pressed.has(key);
        if (on) this.pressed.add(key); else this.pressed.delete(key);
        chip.setAttribute("aria-pressed", String(on));
        byId("filters").dispatchEvent(new Event("change"));
      });
      byId("finding-chips").append(chip);
    }
  }

  wanted() {
    const range = byId("filter-session").value.trim().match(/^(\d+)(?:\s*[-–]\s*(\d+))?$/);
    return {
      text: byId("filter-text").value.trim().toLowerCase(),
      turn: Number(byId("filter-turn").value) || null,
      arm: byId("filter-arm").value === "" ? null : Number(byId("filter-arm").value),
      from: range ? Number(range[1]) : null,
      to: range ? Number(range[2] ?? range[1]) : null,
      nonsense: byId("filter-session").value.trim() !== "" && !range,
      keys: [...this.pressed].filter((key) => key !== "failed"),
      failed: this.pressed.has("failed"),
    };
  }

  /** The turns of a session that the filter asks for; null when the session is not asked for. */
  match(session, want) {
    if (want.arm !== null && session.arm !== want.arm) return null;
    if (want.from !== null && !(session.number >= want.from && session.number <= want.to)) return null;
    if (want.failed && !session.error && !want.keys.length) return null;
    const narrow = want.text || want.turn || want.keys.length;
    const turns = session.turns.filter((turn, position) =>
      (!want.turn || turn.index === want.turn)
      && (!want.keys.length || want.keys.some((key) => (turn.found || []).includes(key)))
      && (!want.text || session.lower[position].includes(want.text)));
    if (narrow && !turns.length && !(want.failed && session.error)) return null;
    return { session, turns, narrow: Boolean(narrow) };
  }

  draw() {
    const want = this.wanted();
    const found = want.nonsense ? [] : this.sessions.map((session) => this.match(session, want)).filter(Boolean);
    const replies = found.reduce((sum, hit) => sum + hit.turns.length, 0);
    byId("count").textContent = want.nonsense ? "A session is a number, or a range such as 3-8."
      : `${replies} ${replies === 1 ? "reply" : "replies"} in ${found.length} of ${this.sessions.length} sessions`;
    const open = want.text || want.turn || want.keys.length;
    byId("sessions").replaceChildren(...found.slice(0, this.limit).map((hit, position) => this.row(hit, want, open && position < 10)));
    byId("more").hidden = found.length <= this.limit;
    byId("more").textContent = `Show ${Math.min(PAGE, found.length - this.limit)} more of ${found.length - this.limit}`;
  }

  label(session) {
    return session.number === null ? session.id : `Session ${String(session.number).padStart(3, "0")}`;
  }

  row(hit, want, open) {
    const { session } = hit;
    const scores = Object.entries(session.scores).map(([key, value]) => `${this.scores[key]} ${value.toFixed(3)}`);
    const meta = [this.many ? this.arms[session.arm] : null, ...scores].filter(Boolean).join(" · ");
    const counts = new Map();
    for (const turn of session.turns) for (const key of turn.found || []) counts.set(key, (counts.get(key) || 0) + 1);
    const found = make("span", { className: "session-found" });
    if (session.error) found.append(make("span", { className: "key", data: { key: "failed" }, textContent: "failed" }));
    for (const [key, count] of counts) {
      found.append(make("span", { className: "key", data: { key }, textContent: count > 1 ? `${this.names[key]} × ${count}` : this.names[key] }));
    }
    const details = make("details", { className: "session", data: { session: session.number ?? "" } },
      make("summary", {}, make("span", { className: "session-name", textContent: this.label(session) }),
        make("span", { className: "session-meta" }, ...shown(meta)), found));
    const fill = () => {
      if (details.open && details.childElementCount === 1) details.append(this.talk(hit, want));
    };
    details.addEventListener("toggle", fill);
    if (open) { details.open = true; fill(); }
    return details;
  }

  talk({ session, turns, narrow }, want) {
    const talk = make("div", { className: "talk" });
    if (session.error) talk.append(make("p", { className: "notice tone-bad" }, "This session failed and is not counted: ", ...shown(session.error)));
    if (session.system !== undefined && !narrow) {
      talk.append(make("details", { className: "turn" }, make("summary", { className: "turn-head", textContent: `System message · seed ${session.seed ?? "unknown"}` }),
        make("p", { className: "say system", dir: "auto" }, ...shown(this.texts[session.system]))));
    }
    for (const turn of narrow ? turns : session.turns) talk.append(...this.turn(turn, want.text));
    const hidden = session.turns.length - turns.length;
    if (narrow && hidden > 0) {
      const rest = make("button", { type: "button", className: "button rest", textContent: `Show the whole session (${hidden} more ${hidden === 1 ? "turn" : "turns"})` });
      rest.addEventListener("click", () => {
        const whole = this.talk({ session, turns: session.turns, narrow: false }, want);
        talk.replaceWith(whole);
        whole.querySelector("summary, mark")?.focus();
      });
      talk.append(rest);
    }
    return talk;
  }

  turn(turn, needle = "") {
    const prompt = make("div", { className: "turn" }, make("div", { className: "turn-head", textContent: `Turn ${turn.index}` }));
    if (turn.reminder !== undefined) prompt.append(make("p", { className: "say system", dir: "auto" }, "Reminder: ", ...shown(this.texts[turn.reminder])));
    prompt.append(make("p", { className: "say prompt", dir: "auto" }, ...searched(this.texts[turn.prompt], needle)));
    return [prompt, this.reply(turn, needle)];
  }

  reply(turn, needle = "", name = "") {
    const head = [name, turn.words === undefined ? "not scored" : `${turn.words} words`].filter(Boolean).join(" · ");
    const said = make("p", { className: "say reply", dir: "auto" }, ...highlighted(turn, needle, this.texts, this.names));
    if (turn.response.length > LONG) {
      said.classList.add("long");
      said.tabIndex = 0;  // what scrolls must be reachable by keyboard
    }
    const reply = make("div", { className: "turn reply-box" }, make("div", { className: "turn-head", textContent: head }), said);
    const why = make("ul", { className: "why" });
    const told = new Set();
    for (const [, , key, reason] of turn.spans || []) {
      if (told.has(`${key} ${reason}`)) continue;
      told.add(`${key} ${reason}`);
      why.append(make("li", {}, make("span", { className: "key", data: { key }, textContent: this.names[key] || key }), " ", ...shown(this.texts[reason])));
    }
    for (const key of turn.found || []) {
      if ((turn.spans || []).some((span) => span[2] === key)) continue;
      why.append(make("li", {}, make("span", { className: "key", data: { key }, textContent: this.names[key] })));
    }
    for (const [measure, reason] of Object.entries(turn.unscored || {})) why.append(make("li", {}, `${measure.replaceAll("_", " ")} unscored: `, ...shown(reason)));
    if (why.childElementCount) reply.append(why);
    return reply;
  }

  /** `#session-12` opens that session. */
  jump() {
    const wanted = location.hash.match(/^#session-(\d+)$/);
    if (!wanted) return;
    byId("filters").reset();
    this.view("list");
    setTimeout(() => {  // after the reset
      byId("filter-session").value = String(Number(wanted[1]));
      byId("filters").dispatchEvent(new Event("change"));
      const first = byId("sessions").firstElementChild;
      if (!first) return;
      first.open = true;
      first.scrollIntoView();
    }, 10);
  }

  // ---- Side by side ----

  view(which) {
    byId("view-list").setAttribute("aria-pressed", String(which === "list"));
    byId("view-pair").setAttribute("aria-pressed", String(which === "pair"));
    byId("list-view").hidden = which !== "list";
    byId("pair-view").hidden = which !== "pair";
    if (which === "pair" && !byId("pair-view").childElementCount) this.setUpPairs();
  }

  setUpPairs() {
    const place = byId("pair-view");
    if (this.sessions.length < 2) {
      place.append(make("p", { textContent: "There is only one session, so nothing to put beside it." }));
      return;
    }
    this.left = make("select", { id: "pair-left" });
    this.right = make("select", { id: "pair-right" });
    const fields = [make("label", {}, "Left", this.left), make("label", {}, "Right", this.right)];
    if (this.many) {
      this.armLeft = make("select", { id: "pair-arm-left" }, ...this.arms.map((arm, i) => new Option(arm, String(i))));
      this.armRight = make("select", { id: "pair-arm-right" }, ...this.arms.map((arm, i) => new Option(arm, String(i), i === 1, i === 1)));
      fields.unshift(make("label", {}, "Left arm", this.armLeft), make("label", {}, "Right arm", this.armRight));
      this.armLeft.addEventListener("change", () => this.fillPairs());
      this.armRight.addEventListener("change", () => this.fillPairs());
    }
    const step = (by) => () => {
      const to = this.left.selectedIndex + by;
      if (to < 0 || to >= this.left.options.length) return;
      this.left.selectedIndex = to;
      this.match2();
      this.drawPair();
    };
    const previous = make("button", { type: "button", className: "button", textContent: "← Previous" });
    const next = make("button", { type: "button", className: "button", textContent: "Next →" });
    previous.addEventListener("click", step(-1));
    next.addEventListener("click", step(1));
    this.kind = make("p", { attr: { role: "status" } });
    this.pair = make("div", { className: "columns", id: "pair" });
    place.append(make("div", { className: "pairs" }, ...fields, previous, next, this.kind), this.pair);
    this.left.addEventListener("change", () => { if (this.many) this.match2(); this.drawPair(); });
    this.right.addEventListener("change", () => this.drawPair());
    this.fillPairs();
  }

  fillPairs() {
    const option = (session) => new Option(`${this.label(session)} · seed ${session.seed ?? "unknown"}`, String(this.sessions.indexOf(session)));
    const of = (arm) => this.sessions.filter((session) => !this.many || session.arm === Number(arm.value));
    this.left.replaceChildren(...of(this.armLeft).map(option));
    this.right.replaceChildren(...of(this.armRight).map(option));
    const twin = [...this.left.options].findIndex((o) => this.twin(this.sessions[Number(o.value)]));
    if (this.many && twin >= 0) this.left.selectedIndex = twin;
    this.match2();
    this.drawPair();
  }

  /** The option on the right with the same seed and prompts as `session`. */
  twin(session) {
    if (session === undefined || session.pair === undefined) return null;
    return [...this.right.options].find((o) => {
      const other = this.sessions[Number(o.value)];
      return other !== session && other.pair === session.pair;
    }) || null;
  }

  /** Choose on the right what belongs to the choice on the left. */
  match2() {
    const twin = this.twin(this.sessions[Number(this.left.value)]);
    if (twin) twin.selected = true;
    else if (!this.many) this.right.selectedIndex = (this.left.selectedIndex + 1) % this.right.options.length;
  }

  drawPair() {
    const [a, b] = [this.sessions[Number(this.left.value)], this.sessions[Number(this.right.value)]];
    if (!a || !b) { this.pair.replaceChildren(); return; }
    const same = a.pair !== undefined && a.pair === b.pair;
    this.kind.textContent = same ? "The same seed and the same prompts under two arms."
      : "Different seeds or prompts: two draws, not a pair.";
    const title = (session) => `${this.label(session)}${this.many ? ` · ${this.arms[session.arm]}` : ""}`;
    const nodes = [make("h3", {}, ...shown(title(a))), make("h3", {}, ...shown(title(b)))];
    for (let i = 0; i < Math.max(a.turns.length, b.turns.length); i += 1) {
      const [left, right] = [a.turns[i], b.turns[i]];
      const equal = left && right && left.prompt === right.prompt;
      if (equal) {
        const [prompt] = this.turn({ ...left, reminder: undefined });
        prompt.classList.add("wide");
        nodes.push(prompt);
      }
      for (const turn of [left, right]) {
        if (!turn) { nodes.push(make("div", { className: "turn empty", textContent: "(no such turn)" })); continue; }
        nodes.push(equal ? this.reply(turn) : make("div", { className: "turn" }, ...this.turn(turn)));
      }
    }
    this.pair.replaceChildren(...nodes);
  }
}

setUpTheme();
setUpNavigation();
setUpTip();
const stored = byId("data");
if (stored) new Browser(JSON.parse(stored.textContent)).setUp();
performance.mark("holdtrue-ready");
