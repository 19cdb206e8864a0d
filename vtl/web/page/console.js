// SPDX-License-Identifier: GPL-2.0-or-later
// console.js: shows the library's status as it comes, and asks for what the user confirms.

const ROW = 26; // pixels of a row in the grid, as in console.css
const KEEP = "s3vtl-token"; // of this tab only
const $ = (id) => document.getElementById(id);
const status = {};
let token = sessionStorage.getItem(KEEP) || "";
let reading = null; // an AbortController while events are read
let selected = "";
let shown = []; // the cartridges that the search leaves

const size = (n) => {
    const units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let i = 0;
    for (n = Number(n) || 0; n >= 999.5 && i < units.length - 1; i++) n /= 1000;
    return `${i ? n.toPrecision(3) : n} ${units[i]}`;
};
const show = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
const cell = (text) => { const td = document.createElement("td"); td.textContent = text ?? "-"; return td; };

// ---- what the server says ----

async function ask(path, options = {}) {
    const answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${token}` } });
    if (answer.status === 401) { leave("the token is wrong"); throw new Error("the token is wrong"); }
    return answer;
}

function take(change) {
    for (const [key, value] of Object.entries(change)) {
        if (value === null) delete status[key]; else status[key] = value;
    }
    if (change.elements) status.elements = change.elements.filter((e) => e.type !== "transport"); // nothing rests there
    for (const e of status.elements || []) e.type = e.type.replace("_", "/");
    if (Object.keys(change).length) draw();
}

// A stream that is read by hand, as EventSource cannot send the token in a header.
async function follow() {
    const stop = reading = new AbortController();
    while (!stop.signal.aborted) {
        try {
            const answer = await ask("/api/events", { signal: stop.signal });
            for (const key of Object.keys(status)) delete status[key]; // what comes is all of it
            const stream = answer.body.pipeThrough(new TextDecoderStream()).getReader();
            let text = "";
            for (let part = await stream.read(); !part.done; part = await stream.read()) {
                text += part.value;
                const events = text.split("\n\n");
                text = events.pop();
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

// ---- what is shown ----

let refused = "";
function alarm(text) { refused = text; draw(); }

function place(address) {
    const e = (status.elements || []).filter((x) => x.address === address)[0];
    if (!e) return "shelf";
    const first = status.elements.filter((x) => x.type === e.type)[0].address;
    return `${e.type} ${address - first + (e.type === "drive" ? 0 : 1)}`;
}

function drawSafe() {
    const store = status.store || {}, rows = [["Only on this disk", size(status.local_only_bytes)]];
    if (status.accepted_bytes !== undefined) rows.push(["Accepted by the store", size(status.accepted_bytes)]);
    if (status.offsite_bytes !== undefined) rows.push(["Off-site", size(status.offsite_bytes)]);
    const rate = status.spool?.upload_rate;
    rows.push(["Upload rate", rate ? `${size(rate)}/s` : "-"], ["Durability", status.spool?.durability ?? "-"],
        ["Store", store.trouble || "no trouble"]);
    $("safe").replaceChildren(...rows.flatMap(([name, value]) => {
        const dt = document.createElement("dt"), dd = document.createElement("dd");
        dt.textContent = name;
        dd.textContent = value;
        return [dt, dd];
    }));
}

function drawDrives() {
    $("drives").replaceChildren(...(status.drives || []).map((d, i) => {
        const tr = document.createElement("tr");
        tr.append(...[i, d.barcode, d.state, d.file, d.block].map(cell));
        return tr;
    }));
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

function drawPicture() {
    const canvas = $("picture"), list = status.elements || [], wide = canvas.clientWidth || 800;
    const box = list.length > 400 ? 14 : 30, gap = 3, across = Math.max(1, Math.floor((wide - 20) / (box + gap)));
    const kinds = [...new Set(list.map((e) => e.type))];
    const rows = kinds.map((k) => Math.ceil(list.filter((e) => e.type === k).length / across));
    const tall = rows.reduce((sum, n) => sum + n * (box + gap) + 24, 10), by = window.devicePixelRatio || 1;
    canvas.width = wide * by;
    canvas.height = tall * by;
    canvas.style.height = `${tall}px`;
    const g = canvas.getContext("2d"), [line, text, full, on] = ["--line", "--text", "--accent", "--on-accent"].map(colour);
    g.scale(by, by);
    g.lineWidth = 1;
    let y = 6;
    kinds.forEach((k, n) => {
        g.fillStyle = text;
        g.font = "12px system-ui, sans-serif";
        g.fillText(k, 10, y + 12);
        y += 18;
        list.filter((e) => e.type === k).forEach((e, i) => {
            const left = 10 + (i % across) * (box + gap), top = y + Math.floor(i / across) * (box + gap);
            g.fillStyle = full;
            g.strokeStyle = line;
            if (e.barcode) g.fillRect(left, top, box, box);
            g.strokeRect(left + 0.5, top + 0.5, box - 1, box - 1);
            g.fillStyle = e.barcode ? on : text;
            g.font = "10px system-ui, sans-serif";
            if (box > 20) g.fillText(k === "drive" ? i : i + 1, left + 4, top + 19);
        });
        y += rows[n] * (box + gap) + 6;
    });
    const words = kinds.map((k) => {
        const of = list.filter((e) => e.type === k);
        return `${k}: ${of.filter((e) => e.barcode).length} of ${of.length} full`;
    }).join("; ");
    show("legend", words);
    canvas.setAttribute("aria-label", `Elements of the library: ${words}`);
}

// Only the rows that can be seen are there.
function drawGrid() {
    const grid = $("grid"), where = new Map((status.elements || []).filter((e) => e.barcode).map((e) => [e.barcode, e.address]));
    const first = Math.max(0, Math.min(shown.length - 1, Math.floor(grid.scrollTop / ROW) - 5));
    const some = shown.slice(first, first + Math.ceil(grid.clientHeight / ROW) + 10);
    const space = (n) => {
        const tr = document.createElement("tr"), td = cell("");
        tr.className = "space";
        tr.setAttribute("aria-hidden", "true");
        td.colSpan = 6;
        td.style.height = `${n * ROW}px`;
        tr.append(td);
        return tr;
    };
    const had = document.activeElement?.dataset?.barcode;
    $("tapes").replaceChildren(space(first), ...some.map((c) => {
        const tr = document.createElement("tr"), td = document.createElement("td"), b = document.createElement("button");
        b.type = "button";
        b.textContent = b.dataset.barcode = c.barcode;
        b.setAttribute("aria-pressed", String(c.barcode === selected));
        tr.className = c.barcode === selected ? "selected" : "";
        td.append(b);
        tr.append(td, ...[place(where.get(c.barcode)), size(c.used_bytes), size(c.capacity_bytes), size(c.local_only_bytes), c.trouble].map(cell));
        return tr;
    }), space(Math.max(0, shown.length - first - some.length)));
    if (had) $("tapes").querySelector(`[data-barcode="${CSS.escape(had)}"]`)?.focus({ preventScroll: true });
}

function drawTapes() {
    const words = $("search").value.toLowerCase(), all = status.cartridges || [];
    shown = all.filter((c) => c.barcode.toLowerCase().includes(words));
    show("count", `${shown.length} of ${all.length}`);
    $("move").disabled = $("export").disabled = !selected;
    drawGrid();
}

function draw() {
    if (!token) return;
    const down = status.error || (status.serving === false ? "no library serves" : "");
    const bad = [refused, down, status.warning, status.store?.trouble].filter(Boolean).join("; ");
    show("name", status.name || "");
    show("state", down ? "not serving" : "serving");
    show("alert", bad);
    $("alert").hidden = !bad;
    drawSafe();
    drawDrives();
    drawPicture();
    drawTapes();
}

// ---- what the user does ----

function confirmed(title, text, label = "") {
    show("dialog-title", title);
    show("dialog-text", text);
    show("dialog-label", label);
    show("dialog-yes", title);
    $("dialog-field").hidden = !label;
    $("dialog-value").required = Boolean(label);
    $("dialog-value").value = "";
    $("dialog").returnValue = "no";
    $("dialog").showModal();
    return new Promise((done) => $("dialog").addEventListener("close", () => done($("dialog").returnValue === "yes" ? $("dialog-value").value.trim() || true : null), { once: true }));
}

const actions = {
    async create() {
        const names = await confirmed("Create", "Blank cartridges go into the first free slots.", "Barcodes, separated by blanks");
        if (names) await act("create", { barcodes: names.split(/\s+/), capacity: 0 });
    },
    async move() {
        const said = await confirmed("Move", `${selected} is moved as a host would move it.`, "To: slot 7, drive 0, import/export 1");
        const [, type, n] = /^(slot|drive|import\/export)\s+(\d+)$/.exec(said || "") || [];
        if (!said) return;
        const of = (status.elements || []).filter((e) => e.type === type);
        const to = of[Number(n) - (type === "drive" ? 0 : 1)];
        if (to) await act("move", { barcode: selected, address: to.address }); else alarm(`${said}: there is no such element`);
    },
    async export() {
        if (await confirmed("Export", `${selected} goes from its import/export element to the shelf, with all its data.`)) await act("export", { barcodes: [selected] });
    },
    async import() {
        const names = await confirmed("Import", "They come from the shelf into free import/export elements.", "Barcodes, separated by blanks");
        if (names) await act("import", { barcodes: names.split(/\s+/) });
    },
};

function enter() {
    $("login-view").hidden = true;
    $("view").hidden = $("leave").hidden = false;
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
$("search").addEventListener("input", drawTapes);
$("grid").addEventListener("scroll", () => requestAnimationFrame(drawGrid));
$("tapes").addEventListener("click", (e) => {
    if (e.target.dataset.barcode) { selected = e.target.dataset.barcode; drawTapes(); }
});
window.addEventListener("resize", () => requestAnimationFrame(draw));
if (token) enter();
