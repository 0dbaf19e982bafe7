// The page on which one acts as a person in Outlook. It talks to the JSON API below /simulator and nothing else.

import { drawConnection } from "./connection.js";

const $ = (id) => document.getElementById(id);
const firstHour = 7;
const hours = 13;
const dayMs = 86_400_000;
const state = { tenants: [], users: [], people: new Map(), events: [], subjects: new Map(), week: monday(new Date()), chosen: "", dragging: false };

function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.filter((c) => c !== null));
  return node;
}

function monday(d) {
  const m = new Date(d.getFullYear(), d.getMonth(), d.getDate());
  m.setDate(m.getDate() - ((m.getDay() + 6) % 7));
  return m;
}

function addDays(d, n) {
  const c = new Date(d);
  c.setDate(c.getDate() + n);
  return c;
}

const clock = (d) => d.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const dayName = (d) => d.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short" });
const inputValue = (d) => new Date(d.getTime() - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

async function api(method, path, body) {
  const init = { method, headers: {} };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  const answer = await fetch("/simulator" + path, init);
  if (answer.status === 204) return null;
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error ?? answer.statusText);
  return value;
}

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").classList.toggle("bad", bad);
}

const act = (what, text) => change("POST", "/act", what, text);

async function change(method, path, body, text) {
  try {
    await api(method, path, body);
    say(text);
  } catch (err) {
    say(`Outlook refused: ${err.message}`, true);
  }
  await refresh();
}

// The chosen organisation and person are kept in the address, so that two windows can be two people.
const wanted = () => new URLSearchParams(location.hash.slice(1));
function remember() {
  history.replaceState(null, "", `#tenant=${encodeURIComponent($("tenant").value)}&person=${encodeURIComponent($("person").value)}`);
}

function fill(select, options, value) {
  const before = value ?? select.value;
  select.replaceChildren(...options.map(([v, label]) => el("option", { value: v, textContent: label })));
  if (options.some(([v]) => v === before)) select.value = before;
}

async function loadPeople() {
  state.tenants = await api("GET", "/tenants");
  fill($("tenant"), state.tenants.map((t) => [t.id, t.name || t.domain]), $("tenant").value || wanted().get("tenant"));
  const lists = await Promise.all(state.tenants.map((t) => api("GET", `/tenants/${encodeURIComponent(t.id)}/users`)));
  state.people = new Map(lists.flat().map((u) => [u.id, u]));
  state.users = lists[state.tenants.findIndex((t) => t.id === $("tenant").value)] ?? [];
  fill($("person"), state.users.map((u) => [u.id, u.name || u.email]), $("person").value || wanted().get("person"));
}

async function refresh() {
  try {
    await loadPeople();
    const person = $("person").value;
    const to = addDays(new Date(Math.max(state.week, Date.now())), 60).toISOString();
    const from = new Date(Math.min(state.week, Date.now() - dayMs)).toISOString();
    const query = `?from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`;
    const [events, sessions, sent, counters] = await Promise.all([
      person ? api("GET", `/users/${encodeURIComponent(person)}/events${query}`) : [],
      person ? api("GET", `/users/${encodeURIComponent(person)}/sessions`) : [],
      api("GET", "/deliveries?limit=30"),
      api("GET", "/counters"),
    ]);
    if (state.dragging || person !== $("person").value) return;
    state.events = events;
    for (const e of events) state.subjects.set(e.id, e.subject);
    keepFocus(() => {
      drawWeek();
      drawList();
      const tenant = state.tenants.find((t) => t.id === $("tenant").value);
      $("connection").replaceChildren(...drawConnection({ el, change }, tenant, state.people.get(person), sessions));
    });
    drawSent(sent, counters);
  } catch (err) {
    say(`The simulator does not answer: ${err.message}`, true);
  }
}

function keepFocus(draw) {
  const key = document.activeElement?.dataset?.key;
  draw();
  if (key) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

function drawWeek() {
  const days = Array.from({ length: 7 }, (_, i) => addDays(state.week, i));
  const hoursColumn = el("div", { className: "hours" });
  for (let h = 0; h < hours; h++) {
    const label = el("span", { textContent: new Date(0, 0, 1, firstHour + h).toLocaleTimeString([], { hour: "numeric" }) });
    label.style.top = `${h * 3}rem`;
    hoursColumn.append(label);
  }
  const columns = days.map((d) => {
    const column = el("div", { className: "day" });
    for (const e of state.events) {
      const start = new Date(e.start);
      if (start >= d && start < addDays(d, 1)) column.append(block(e, start));
    }
    return column;
  });
  const today = new Date().toDateString();
  $("week").replaceChildren(
    el("div", { className: "head" }),
    ...days.map((d) => el("div", { className: d.toDateString() === today ? "head today" : "head", textContent: dayName(d) })),
    hoursColumn,
    ...columns,
  );
  $("week-title").textContent = `Week of ${dayName(state.week)}`;
}

function block(e, start) {
  const minutes = (new Date(e.end) - start) / 60_000;
  const node = el("button", { type: "button", className: "block" }, `${clock(start)} ${e.subject}`);
  node.dataset.key = `block-${e.id}`;
  node.classList.toggle("own", e.is_organizer && !e.cancelled);
  node.classList.toggle("cancelled", e.cancelled);
  const top = (start.getHours() - firstHour + start.getMinutes() / 60) * 3;
  node.style.top = `${Math.min(Math.max(top, 0), hours * 3 - 1.4)}rem`;
  node.style.height = `${Math.max((minutes / 60) * 3, 1.4)}rem`;
  node.addEventListener("click", () => choose(e.id));
  if (e.is_organizer && !e.cancelled) node.addEventListener("pointerdown", (down) => drag(down, node, e));
  return node;
}

function choose(id) {
  state.chosen = id;
  drawList();
  document.getElementById(`event-${id}`)?.scrollIntoView({ behavior: "smooth", block: "nearest" });
}

// drag moves a block by whole days and quarters of an hour; on release the meeting is moved in Outlook.
function drag(down, node, e) {
  if (down.button !== 0) return;
  const column = node.parentElement.getBoundingClientRect();
  const hour = column.height / hours;
  let days = 0;
  let quarters = 0;
  node.setPointerCapture(down.pointerId);
  const move = (ev) => {
    days = Math.round((ev.clientX - down.clientX) / column.width);
    quarters = Math.round(((ev.clientY - down.clientY) / hour) * 4);
    state.dragging = days !== 0 || quarters !== 0;
    node.classList.toggle("dragging", state.dragging);
    node.style.transform = `translate(${days * column.width}px, ${(quarters / 4) * hour}px)`;
  };
  const done = async (ev) => {
    node.removeEventListener("pointermove", move);
    node.removeEventListener("pointerup", done);
    node.removeEventListener("pointercancel", done);
    state.dragging = false;
    node.classList.remove("dragging");
    node.style.transform = "";
    if (ev.type === "pointercancel" || (days === 0 && quarters === 0)) return;
    const start = addDays(new Date(e.start), days);
    start.setMinutes(start.getMinutes() + quarters * 15);
    await moveTo(e, start, new Date(e.end) - new Date(e.start));
  };
  node.addEventListener("pointermove", move);
  node.addEventListener("pointerup", done);
  node.addEventListener("pointercancel", done);
}

function moveTo(e, start, length) {
  const end = new Date(start.getTime() + length);
  return act(
    { do: "move", person: $("person").value, event: e.id, start: start.toISOString(), end: end.toISOString() },
    `Moved “${e.subject}” to ${dayName(start)}, ${clock(start)}.`,
  );
}

function drawList() {
  const now = Date.now();
  const upcoming = state.events.filter((e) => new Date(e.end) > now).slice(0, 100);
  const items = upcoming.map(card);
  $("list").replaceChildren(...(items.length ? items : [el("li", {}, "Nothing is coming up.")]));
}

function card(e) {
  const start = new Date(e.start);
  const li = el("li", { id: `event-${e.id}`, className: e.id === state.chosen ? "chosen" : "" });
  li.append(
    el("h3", {}, e.subject || "(no subject)"),
    el("p", {}, `${dayName(start)}, ${clock(start)} to ${clock(new Date(e.end))}${e.kind === "singleInstance" ? "" : ", part of a series"}`),
    el("p", { className: "quiet" }, e.is_organizer ? "You organize it." : `Organized by ${e.organizer_name}. Your answer: ${words(e.response)}.`),
    ...(e.cancelled ? [el("p", { className: "declined" }, e.comment ? `Cancelled: “${e.comment}”` : "Cancelled.")] : []),
    ...e.attendees.map((a) => person(a)),
    el("div", { className: "buttons" }, ...buttons(e)),
  );
  return li;
}

function person(a) {
  const line = el("p", {}, `${a.name}: `, el("span", { className: `answer ${a.response}` }, a.asked_again ? "asked again, for the meeting was moved" : words(a.response)));
  if (a.proposed_start) {
    const at = new Date(a.proposed_start);
    line.append(`, proposes ${dayName(at)}, ${clock(at)}`);
  }
  return line;
}

function words(answer) {
  const known = { none: "no answer", notResponded: "no answer", organizer: "organizer", accepted: "accepted", declined: "declined", tentativelyAccepted: "tentative" };
  return known[answer] ?? answer;
}

function buttons(e) {
  const me = $("person").value;
  const button = (label, run) => {
    const b = el("button", { type: "button", textContent: label });
    b.setAttribute("aria-label", `${label}: ${e.subject}`);
    b.dataset.key = `${label}-${e.id}`;
    b.addEventListener("click", run);
    return b;
  };
  const simple = (label, what, text) => button(label, () => act({ do: what, person: me, event: e.id }, text));
  const start = new Date(e.start);
  const length = new Date(e.end) - start;
  const remove = simple("Delete", "delete", e.is_organizer ? `Deleted “${e.subject}”, which cancels it.` : `Deleted your copy of “${e.subject}”.`);
  if (e.cancelled) return [remove];
  if (e.is_organizer) {
    return [
      button("Half an hour later", () => moveTo(e, new Date(start.getTime() + 1_800_000), length)),
      button("Move …", () => pick(`Move “${e.subject}”`, start, length, (s, l) => moveTo(e, s, l))),
      simple("Cancel", "cancel", `Cancelled “${e.subject}”.`),
      remove,
    ];
  }
  return [
    simple("Accept", "accept", `Accepted “${e.subject}”.`),
    simple("Tentative", "tentative", `Answered “${e.subject}” with maybe.`),
    simple("Decline", "decline", `Declined “${e.subject}”; it leaves your calendar.`),
    button("Propose a time …", () =>
      pick(`Propose another time for “${e.subject}”`, start, length, (s, l) =>
        act(
          { do: "propose", person: me, event: e.id, start: s.toISOString(), end: new Date(s.getTime() + l).toISOString() },
          `Proposed ${dayName(s)}, ${clock(s)}.`,
        ),
      ),
    ),
    remove,
  ];
}

function pick(title, start, length, run, booking = false) {
  const dialog = $("times");
  $("times-title").textContent = title;
  $("times-extra").hidden = !booking;
  $("start").value = inputValue(start);
  $("minutes").value = Math.round(length / 60_000);
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "ok") run(new Date($("start").value), Number($("minutes").value) * 60_000);
  };
  dialog.showModal();
}

function book() {
  const me = state.people.get($("person").value);
  if (!me) return;
  fill($("with"), state.users.filter((u) => u.id !== me.id).map((u) => [u.email, u.name]));
  $("subject").value = "Mentoring";
  const start = new Date(Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 3_600_000);
  pick("New meeting", start, 1_800_000, async (s, l) => {
    const meeting = { organizer: me.id, attendees: $("with").value ? [$("with").value] : [], subject: $("subject").value, online: true };
    try {
      await api("POST", "/meetings", { ...meeting, start: s.toISOString(), end: new Date(s.getTime() + l).toISOString() });
      say(`Booked “${meeting.subject}”.`);
    } catch (err) {
      say(`Outlook refused: ${err.message}`, true);
    }
    await refresh();
  }, true);
}

function drawSent(sent, counters) {
  $("figures").textContent = `${counters.subscriptions} subscriptions alive, ${counters.notifications} notifications made, ${counters.delivered} delivered, ${counters.pending} on their way, ${counters.dropped} dropped, ${counters.gave_up} given up.`;
  $("sent").replaceChildren(
    ...sent.map((d) => {
      const who = state.people.get(d.mailbox)?.name ?? d.mailbox;
      const cells = [new Date(d.made_at).toLocaleTimeString(), who, d.change, state.subjects.get(d.event) ?? "", d.attempts, d.status || ""];
      return el("tr", {}, ...cells.map((c) => el("td", { textContent: c })), el("td", { className: d.fate, textContent: d.fate.replace("_", " ") }));
    }),
  );
}

function go(week) {
  state.week = week;
  refresh();
}

$("tenant").addEventListener("change", async () => {
  $("person").value = "";
  await refresh();
  remember();
});
$("person").addEventListener("change", async () => {
  remember();
  await refresh();
});
$("earlier").addEventListener("click", () => go(addDays(state.week, -7)));
$("later").addEventListener("click", () => go(addDays(state.week, 7)));
$("today").addEventListener("click", () => go(monday(new Date())));
$("book").addEventListener("click", book);

await refresh();
remember();
new EventSource("/simulator/feed").addEventListener("change", refresh);
