// SPDX-License-Identifier: GPL-2.0-or-later
// console.js: shows the library's status as it comes, and asks for what the user confirms.
//
// What comes is kept at once and drawn once a frame, and of it only what has changed. Nothing that is drawn asks the
// browser for a size: observers tell sizes, events tell where is scrolled to.

import uPlot from "/uplot/uPlot.esm.js";

const ROW = 26; // pixels of a row in the grid, as in console.css
const PLOT_SECONDS = 300, PLOT_HEIGHT = 130;
const MOST_EVENTS = 100;
const KEEP = "s3vtl-token"; // of this tab only
const KEYS = { elements: "address", cartridges: "barcode" };
const RULES = ["rules", "locks", "quotas", "blanks", "store", "verify_every"]; // members of the status that rules are shown from
const $ = (id) => document.getElementById(id);
let status = {};
let token = sessionStorage.getItem(KEEP) || "";
let reading = null; // an AbortController while events are read
let selected = "";
let kinds = []; // [{ name, of }]: the elements by their kind
let places = new Map(); // of each barcode that is in an element, in words
let shown = []; // the cartridges that the search leaves
let seen = []; // what this page has seen happen

const size = (n) => {
    const units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let i = 0;
    for (n = Number(n) || 0; n >= 999.5 && i < units.length - 1; i++) n /= 1000;
    return `${i ? n.toPrecision(3) : Math.round(n)} ${units[i]}`;
};
const two = (n) => String(n).padStart(2, "0");
const day = (s) => { const d = new Date(s * 1000); return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`; };
const moment = (s) => { const d = new Date(s * 1000); return `${day(s)} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`; };
const say = (node, text) => { text = String(text ?? "-"); if (node.textContent !== text) node.textContent = text; };
const show = (id, text) => say($(id), text);
const aria = (node, name, text) => { if (node.getAttribute(`aria-${name}`) !== text) node.setAttribute(`aria-${name}`, text); };
const make = (name, props = {}, ...inside) => { const n = Object.assign(document.createElement(name), props); n.append(...inside); return n; };

// ---- what is drawn, and when ----

const dirty = new Set();
function later(...parts) {
    if (!dirty.size) requestAnimationFrame(draw);
    for (const p of parts) dirty.add(p);
}
const ALL = ["state", "safe", "events", "drives", "plots", "rules", "picture", "tapes", "grid"];

function draw() {
    const now = new Set(dirty);
    dirty.clear();
    if (!token) return;
    if (now.has("state")) drawState();
    if (now.has("safe")) drawSafe();
    if (now.has("events")) drawEvents();
    if (now.has("drives")) drawDrives();
    if (now.has("plots")) drawPlots();
    if (now.has("rules")) drawRules();
    if (now.has("picture")) drawPicture();
    if (now.has("tapes")) sift();
    if (now.has("tapes") || now.has("grid")) drawGrid();
}

let colours = {};
function takeColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["line", "text", "soft", "accent", "on-accent", "second"]) colours[name] = style.getPropertyValue(`--${name}`);
    later("picture", "plots");
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", takeColours);

const sizes = { picture: 0, plots: 0, grid: 340 };
const observer = new ResizeObserver((all) => {
    for (const e of all) sizes[e.target.id] = e.target.id === "grid" ? e.contentRect.height : e.contentRect.width;
    later("picture", "plots", "grid");
});

// ---- what the server says ----

async function ask(path, options = {}) {
    const answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${token}` } });
    if (answer.status === 401) { leave("the token is wrong"); throw new Error("the token is wrong"); }
    return answer;
}

function note(text) {
    seen = [{ at: Date.now() / 1000, text }, ...seen].slice(0, MOST_EVENTS);
    later("events");
}

function sortElements() {
    const was = places, by = new Map();
    for (const e of status.elements || []) {
        if (e.type === "transport") continue; // nothing rests there
        const name = e.type.replace("_", "/");
        if (!by.has(name)) by.set(name, []);
        by.get(name).push(e);
    }
    kinds = [...by].map(([name, of]) => ({ name, of }));
    places = new Map();
    for (const k of kinds) k.of.forEach((e, i) => { if (e.barcode) places.set(e.barcode, `${k.name} ${i + (k.name === "drive" ? 0 : 1)}`); });
    return was;
}

function noteMoves(was) {
    for (const [barcode, place] of places) {
        if (was.get(barcode) !== place) note(`${barcode}: ${was.has(barcode) ? `from ${was.get(barcode)} ` : ""}to ${place}`);
    }
    for (const [barcode, place] of was) if (!places.has(barcode)) note(`${barcode}: from ${place} to the shelf`);
}

function noteStore(was, is) {
    if (is && !was) note(`store: ${is}`);
    if (was && !is) note("store: well again");
}

function take({ rows = {}, ...whole }) {
    const first = !("serving" in status), trouble = status.store?.trouble;
    for (const [key, value] of Object.entries(whole)) {
        if (value === null) delete status[key]; else status[key] = value;
    }
    for (const [name, list] of Object.entries(rows)) {
        const at = new Map(status[name].map((r, i) => [r[KEYS[name]], i]));
        for (const r of list) status[name][at.get(r[KEYS[name]])] = r;
    }
    const changed = new Set([...Object.keys(whole), ...Object.keys(rows)]);
    if (changed.has("elements")) {
        const was = sortElements();
        if (!first && status.elements && was.size) noteMoves(was);
        later("picture", "tapes");
    }
    if (changed.has("store") && !first && status.store) noteStore(trouble, status.store.trouble);
    if (changed.has("cartridges")) later("tapes", "safe", "picture");
    if (changed.has("drives")) later("drives");
    if (changed.has("happenings")) later("events");
    if (RULES.some((name) => changed.has(name))) later("rules");
    if (changed.size) later("state", "safe");
    measure();
}

// A stream that is read by hand, as EventSource cannot send the token in a header.
async function follow() {
    const stop = reading = new AbortController();
    while (!stop.signal.aborted) {
        try {
            const answer = await ask("/api/events", { signal: stop.signal });
            status = {}; // what comes is all of it
            const stream = answer.body.pipeThrough(new TextDecoderStream()).getReader();
            let parts = [];
            for (let part = await stream.read(); !part.done; part = await stream.read()) {
                parts.push(part.value);
                if (!part.value.endsWith("\n")) continue; // a long one comes in many parts
                const events = parts.join("").split("\n\n");
                parts = [events.pop()];
                for (const e of events) take(JSON.parse(e.slice(e.indexOf("data: ") + 6)));
            }
        } catch (e) {
            if (stop.signal.aborted) return;
        }
        show("state", "the console's server does not answer");
        await new Promise((done) => setTimeout(done, 1000));
    }
}

async function act(name, request) {
    alarm("");
    const answer = await ask(`/api/actions/${name}`, { method: "POST", body: JSON.stringify(request) });
    const said = await answer.json();
    if (!answer.ok) alarm(said.error);
}

// ---- how it is ----

let refused = "";
function alarm(text) { refused = text; later("state"); }

function drawState() {
    const down = status.error || (status.serving === false ? "no library serves" : "");
    const bad = [refused, down, status.warning, status.store?.trouble, status.locks?.object_lock_trouble].filter(Boolean).join("; ");
    show("name", status.name || "");
    show("state", down ? "not serving" : "serving");
    show("alert", bad);
    $("alert").hidden = !bad;
}

function verifyState() {
    const written = (status.cartridges || []).filter((c) => c.used_bytes), done = written.filter((c) => c.verified);
    const lost = done.filter((c) => c.lost_objects).length;
    if (!written.length) return "nothing is written yet";
    const oldest = done.length ? `, the longest ago on ${day(Math.min(...done.map((c) => c.verified)))}` : "";
    return `${done.length} of ${written.length} written cartridges${oldest}${lost ? `; ${lost} with objects that are lost` : ""}`;
}

function fill(list, rows) { // a dl of [name, text]
    while (list.children.length > 2 * rows.length) list.lastChild.remove();
    while (list.children.length < 2 * rows.length) list.append(make("dt"), make("dd"));
    rows.flat().forEach((text, i) => say(list.children[i], text));
}

function drawSafe() {
    const store = status.store || {}, rows = [["Only on this disk", size(status.local_only_bytes)]];
    if (status.accepted_bytes !== undefined) rows.push(["Accepted by the store", size(status.accepted_bytes)]);
    if (status.offsite_bytes !== undefined) rows.push(["Off-site", size(status.offsite_bytes)]);
    const rate = status.spool?.upload_rate;
    rows.push(["Upload rate", rate ? `${size(rate)}/s` : "-"], ["Durability", status.spool?.durability ?? "-"],
        ["Store", store.trouble || "no trouble"], ["Verified", verifyState()]);
    fill($("safe"), rows);
}

let eventsShown = "";
function drawEvents() {
    const told = (status.happenings || []).map((h) => ({ at: h.began, text: `${h.event}: ${h.text}${h.ended ? ` (over at ${moment(h.ended)})` : ""}`, open: !h.ended }));
    const all = [...seen, ...told].sort((a, b) => b.at - a.at).slice(0, MOST_EVENTS), now = JSON.stringify(all);
    if (now === eventsShown) return;
    eventsShown = now;
    $("events").replaceChildren(...(all.length ? all.map((e) => make("li", { className: e.open ? "open" : "" },
        make("time", { dateTime: new Date(e.at * 1000).toISOString(), textContent: moment(e.at) }), ` ${e.text}`))
        : [make("li", { textContent: "none in the last week" })]));
}

// ---- what the library does by itself ----

const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
function span(s) {
    const [unit, what] = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]].find(([n]) => s % n === 0);
    return many(s / unit, what);
}
const lines = (list, otherwise) => (list?.length ? list.join("\n") : otherwise);
const limit = (text, now) => text + (text === "unlimited" ? "" : `; now ${now ? `${size(now)}/s` : "unlimited"}`);

const quotaLine = (q) => `${q.cartridges === "*" ? "all cartridges" : q.cartridges}: ${size(q.used_bytes)} of ${size(q.limit_bytes)}${q.full_on ? `; as it grows, all of it on ${day(q.full_on)}` : ""}${q.near ? "; full: what is left is for jobs that run to end in" : ""}`;
const blanksLine = (b) => `${b.first} to ${b.last}: ${b.free} there, ${b.keep} wanted${b.free < b.keep && b.trouble ? `; no more can be made: ${b.trouble}` : ""}`;
const retentionLine = (r) => `${r.cartridges}: each write locks it for ${span(r.seconds)} (${r.mode})`;

const inStore = (l) => l.object_lock_waiting ? `; the store is still to lock ${l.object_lock_waiting}` : l.object_lock ? "; the store locks them too" : "";

function verifyRule(r) {
    if (!status.verify_every) return "not by itself";
    return `each cartridge every ${span(status.verify_every)}, ${r.verify_window === "unlimited" ? "at any time" : r.verify_window}${r.verify_budget ? `; at most ${size(r.verify_budget)} a day` : ""}`;
}

function drawRules() {
    const r = status.rules, locks = status.locks;
    if (!r) return;
    const locked = locks?.locked ? [`${many(locks.locked, "cartridge")} locked now; the ${locks.locked === 1 ? "lock" : "first lock"} ends on ${day(locks.next_end)}${inStore(locks)}`] : [];
    fill($("rules"), [["Retention", lines([...r.retention.map(retentionLine), ...locked], "no write locks")],
        ["Quotas", lines(status.quotas?.map(quotaLine), "none")],
        ["Blank cartridges", lines(status.blanks?.map(blanksLine), "none are made by themselves")],
        ["Upload", limit(r.upload_limit, status.store?.upload_limit)], ["Download", limit(r.download_limit, status.store?.download_limit)],
        ["Verification", verifyRule(r)]]);
}

// ---- drives, and how fast they are ----

const curves = []; // of each drive: { at, written, read, last, plot, box }

function measure() {
    const now = performance.now() / 1000;
    (status.drives || []).forEach((d, i) => {
        const c = curves[i] ??= { at: [], written: [], read: [] }, last = c.last;
        if (last && now - last.now < 0.5) return;
        c.last = { now, written: d.written_bytes, read: d.read_bytes };
        if (!last) return;
        const by = (key) => Math.max(0, d[`${key}_bytes`] - last[key]) / (now - last.now); // less: the library is another one
        c.at.push(Date.now() / 1000);
        c.written.push(by("written"));
        c.read.push(by("read"));
        if (c.at.length > PLOT_SECONDS + 5) for (const list of [c.at, c.written, c.read]) list.shift();
    });
    later("drives", "plots");
}

const rateOf = (list) => `${size(list?.at(-1))}/s`;

function drawDrives() {
    const body = $("drives"), drives = status.drives || [];
    while (body.children.length > drives.length) body.lastChild.remove();
    drives.forEach((d, i) => {
        if (!body.children[i]) body.append(make("tr", {}, ...Array.from({ length: 8 }, () => make("td"))));
        const c = curves[i];
        [i, d.barcode, d.state, rateOf(c?.written), rateOf(c?.read), size(d.unsynced_bytes), d.file, d.block].forEach((text, n) => say(body.children[i].children[n], text));
    });
}

function newPlot(i, width) {
    const box = make("div", { className: "plot" }), title = `Drive ${i}`;
    box.setAttribute("role", "img");
    $("plots").append(box);
    const axis = { stroke: () => colours.soft, grid: { stroke: () => colours.line, width: 1 }, ticks: { stroke: () => colours.line, width: 1 } };
    const line = (label, name) => ({ label, stroke: () => colours[name], width: 2, points: { show: false } });
    const plot = new uPlot({
        title, width, height: PLOT_HEIGHT, legend: { show: false }, cursor: { show: false }, padding: [4, 12, 0, 0],
        scales: { x: { range: (u, min) => { const now = Date.now() / 1000; return [Math.max(now - PLOT_SECONDS, Math.min(min ?? now, now - 60)), now]; } }, y: { range: (u, min, max) => [0, Math.max(max || 0, 1e6) * 1.1] } },
        axes: [{ ...axis, size: 28, incrs: [10, 30, 60], values: (u, at) => at.map((s) => moment(s).slice(11)) }, { ...axis, size: 76, space: 28, values: (u, all) => all.map((n) => `${size(n)}/s`) }],
        series: [{}, line("written", "accent"), line("read", "second")],
    }, [[], [], []], box);
    return { box, plot, width };
}

function drawPlots() {
    const n = (status.drives || []).length, width = Math.floor(sizes.plots / (sizes.plots > 700 && n > 1 ? 2 : 1)) - 12;
    if (width < 100) return;
    for (const c of curves.splice(n)) { c.plot?.destroy(); c.box?.remove(); }
    curves.forEach((c, i) => {
        if (!c.plot) Object.assign(c, newPlot(i, width));
        if (c.width !== width) c.plot.setSize({ width: c.width = width, height: PLOT_HEIGHT });
        c.plot.setData([c.at, c.written, c.read]);
        aria(c.box, "label", `Drive ${i}, the last five minutes: now ${rateOf(c.written)} written, ${rateOf(c.read)} read`);
    });
}

// ---- the library as a picture ----

let boxes = []; // what a click finds: { left, top, side, barcode }

function drawPicture() {
    const canvas = $("picture"), wide = sizes.picture, count = kinds.reduce((sum, k) => sum + k.of.length, 0);
    if (!wide) return;
    const side = count > 400 ? 14 : 30, gap = 3, across = Math.max(1, Math.floor((wide - 20) / (side + gap)));
    const tall = kinds.reduce((sum, k) => sum + Math.ceil(k.of.length / across) * (side + gap) + 24, 10), by = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(wide * by) || canvas.height !== Math.round(tall * by)) {
        canvas.width = Math.round(wide * by);
        canvas.height = Math.round(tall * by);
        canvas.style.height = `${tall}px`;
    }
    const g = canvas.getContext("2d"), empty = new Path2D(), full = new Path2D();
    g.setTransform(by, 0, 0, by, 0, 0);
    g.clearRect(0, 0, wide, tall);
    g.lineWidth = 1;
    boxes = [];
    let y = 6;
    for (const k of kinds) {
        g.fillStyle = colours.text;
        g.font = "12px system-ui, sans-serif";
        g.fillText(k.name, 10, y + 12);
        y += 18;
        k.of.forEach((e, i) => {
            const left = 10 + (i % across) * (side + gap), top = y + Math.floor(i / across) * (side + gap);
            (e.barcode ? full : empty).rect(left + 0.5, top + 0.5, side - 1, side - 1);
            boxes.push({ left, top, side, barcode: e.barcode, number: k.name === "drive" ? i : i + 1 });
        });
        y += Math.ceil(k.of.length / across) * (side + gap) + 6;
    }
    g.fillStyle = colours.accent;
    g.fill(full);
    g.strokeStyle = colours.line;
    g.stroke(full);
    g.stroke(empty);
    g.font = "10px system-ui, sans-serif";
    for (const b of side > 20 ? boxes : []) {
        g.fillStyle = b.barcode ? colours["on-accent"] : colours.text;
        g.fillText(b.number, b.left + 4, b.top + 19);
    }
    const at = selected && boxes.find((b) => b.barcode === selected);
    g.strokeStyle = colours.second;
    g.lineWidth = 3;
    if (at) g.strokeRect(at.left - 0.5, at.top - 0.5, side + 1, side + 1);
    const words = kinds.map((k) => `${k.name}: ${k.of.filter((e) => e.barcode).length} of ${k.of.length} full`);
    words.push(`shelf: ${(status.cartridges || []).filter((c) => !places.has(c.barcode)).length}`);
    show("legend", words.join("; "));
    aria(canvas, "label", `Elements of the library: ${words.join("; ")}`);
}

// ---- cartridges: only the rows that can be seen are there ----

const rows = new Map(); // by barcode: { tr, cells, button }
let scrolled = 0;

function space() {
    const tr = make("tr", { className: "space" }, make("td", { colSpan: 8 }));
    aria(tr, "hidden", "true");
    return tr;
}
const above = space(), below = space();
$("tapes").append(above, below);
function setSpace(tr, n) {
    const height = `${n * ROW}px`;
    if (tr.firstChild.style.height !== height) tr.firstChild.style.height = height;
}

function newRow(barcode) {
    const button = make("button", { type: "button", textContent: barcode }), cells = Array.from({ length: 7 }, () => make("td"));
    button.dataset.barcode = barcode;
    const row = { button, cells, tr: make("tr", {}, make("td", {}, button), ...cells) };
    rows.set(barcode, row);
    return row;
}

const verifiedWords = (c) => (c.verified ? `${day(c.verified)}${c.lost_objects ? `: ${c.lost_objects} lost` : ""}` : "never");
const protection = (c) => [c.worm && "WORM", c.write_protected && "write-protected", c.locked && `${c.retention} lock until ${day(c.retain_until)}${c.object_lock && !c.object_lock_due ? ", in the store too" : ""}`].filter(Boolean).join(", ") || "-";

function fillRow(row, c) {
    const name = c.barcode === selected ? "selected" : "";
    aria(row.button, "pressed", String(Boolean(name)));
    if (row.tr.className !== name) row.tr.className = name;
    [places.get(c.barcode) || "shelf", size(c.used_bytes), size(c.capacity_bytes), size(c.local_only_bytes), verifiedWords(c), protection(c), c.trouble]
        .forEach((text, i) => say(row.cells[i], text));
}

function drawGrid() {
    const many = Math.ceil(sizes.grid / ROW) + 10;
    const first = Math.max(0, Math.min(shown.length - many, Math.floor(scrolled / ROW) - 5)), some = shown.slice(first, first + many);
    const wanted = new Set(some.map((c) => c.barcode));
    for (const [barcode, row] of rows) {
        if (!wanted.has(barcode)) { row.tr.remove(); rows.delete(barcode); }
    }
    let before = above;
    for (const c of some) {
        const row = rows.get(c.barcode) ?? newRow(c.barcode);
        fillRow(row, c);
        if (before.nextSibling !== row.tr) before.after(row.tr);
        before = row.tr;
    }
    setSpace(above, first);
    setSpace(below, shown.length - first - some.length);
}

function sift() {
    const words = $("search").value.toLowerCase(), all = status.cartridges || [];
    shown = words ? all.filter((c) => c.barcode.toLowerCase().includes(words)) : all;
    show("count", `${shown.length} of ${all.length}`);
    const c = all.find((x) => x.barcode === selected);
    $("move").disabled = $("protect").disabled = $("export").disabled = !c;
    show("protect", c?.write_protected ? "Unprotect" : "Protect");
}

function select(barcode) {
    selected = barcode;
    later("tapes", "picture");
}

// ---- what the user does ----

let answer = () => {}; // whom the dialog answers

function confirmed(title, text, label = "", value = "") {
    answer(null);
    show("dialog-title", title);
    show("dialog-text", text);
    show("dialog-label", label);
    show("dialog-yes", title);
    $("dialog-field").hidden = !label;
    $("dialog-value").required = Boolean(label);
    $("dialog-value").value = value;
    $("dialog").returnValue = "no";
    $("dialog").showModal();
    return new Promise((done) => { answer = done; });
}
$("dialog").addEventListener("close", () => {
    if ($("dialog").open) return; // it comes late, and there is another question already
    answer($("dialog").returnValue === "yes" ? $("dialog-value").value.trim() || true : null);
});

const actions = {
    async create() {
        const names = await confirmed("Create", "Blank cartridges go into the first free slots.", "Barcodes, separated by blanks");
        if (names) await act("create", { barcodes: names.split(/\s+/), capacity: 0 });
    },
    async move() {
        const said = await confirmed("Move", `${selected} is moved as a host would move it.`, "To: slot 7, drive 0, import/export 1");
        const [, type, n] = /^(slot|drive|import\/export)\s+(\d+)$/.exec(said || "") || [];
        if (!said) return;
        const to = kinds.find((k) => k.name === type)?.of[Number(n) - (type === "drive" ? 0 : 1)];
        if (to) await act("move", { barcode: selected, address: to.address }); else alarm(`${said}: there is no such element`);
    },
    async protect() {
        const c = status.cartridges.find((x) => x.barcode === selected);
        const title = c.write_protected ? "Unprotect" : "Protect";
        if (await confirmed(title, `${selected} can ${c.write_protected ? "be written again" : "no longer be written"}.`)) await act("protect", { barcode: selected, on: !c.write_protected });
    },
    async export() {
        if (await confirmed("Export", `${selected} goes from its import/export element to the shelf, with all its data.`)) await act("export", { barcodes: [selected] });
    },
    async import() {
        const shelved = selected && !places.has(selected) ? selected : "";
        const names = await confirmed("Import", "They come from the shelf into free import/export elements.", "Barcodes, separated by blanks", shelved);
        if (names) await act("import", { barcodes: names.split(/\s+/) });
    },
};

function enter() {
    $("login-view").hidden = true;
    $("view").hidden = $("leave").hidden = false;
    later(...ALL);
    follow();
}

function leave(why) {
    reading?.abort();
    token = "";
    sessionStorage.removeItem(KEEP);
    $("login-view").hidden = false;
    $("view").hidden = $("leave").hidden = true;
    show("state", why);
}

$("login").addEventListener("submit", (e) => {
    e.preventDefault();
    token = $("token").value.trim();
    $("token").value = "";
    sessionStorage.setItem(KEEP, token);
    enter();
});
$("leave").addEventListener("click", () => leave("not signed in"));
for (const [name, run] of Object.entries(actions)) $(name).addEventListener("click", () => run().catch((e) => alarm(e.message)));
$("search").addEventListener("input", () => later("tapes"));
$("grid").addEventListener("scroll", () => { scrolled = $("grid").scrollTop; later("grid"); });
$("tapes").addEventListener("click", (e) => { if (e.target.dataset.barcode) select(e.target.dataset.barcode); });
$("picture").addEventListener("click", (e) => {
    const at = boxes.find((b) => e.offsetX >= b.left && e.offsetX < b.left + b.side && e.offsetY >= b.top && e.offsetY < b.top + b.side);
    if (at?.barcode) select(at.barcode);
});
takeColours();
for (const id of ["picture", "plots", "grid"]) observer.observe($(id));
if (token) enter();
