/* SPDX-License-Identifier: GPL-2.0-only */
"use strict";

/* How often the metrics are read, in milliseconds, and over how many readings a rate goes. */
const PAUSE = 5000, FIRST_PAUSE = 2000, SHARE = 4, READINGS = 3;
/* What a table and the map have room for. */
const ROWS = 200, BOXES = 24, LABELS = 12;
/* Samples of mappings that are kept, four of each. A million of them are more than a browser bears. */
const SAMPLES = 80000;

const SVG = "http://www.w3.org/2000/svg";
const at = id => document.getElementById(id);
const counts = new Intl.NumberFormat("en");

/* ------------------------------------------------------------ the text format of Prometheus */

function labelsOf(text) {
	const labels = {}, pair = /(\w+)="((?:[^"\\]|\\.)*)"/g;

	for (const [, name, value] of text.matchAll(pair))
		labels[name] = value.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
	return labels;
}

function take(reading, line) {
	const found = line[0] === "#" ? null : /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);

	if (!found)
		return;
	if (found[1].startsWith("tenantnat_mapping_") && ++reading.samples > SAMPLES)
		return;
	if (!reading.by.has(found[1]))
		reading.by.set(found[1], []);
	reading.by.get(found[1]).push({ key: found[2] ?? "", labels: labelsOf(found[2] ?? ""), value: Number(found[3]) });
}

/* {at, by: Map of name to [{key, labels, value}], samples: of mappings}; a line at a time, as it comes. */
async function parse(body) {
	const reading = { by: new Map(), samples: 0 }, from = body.pipeThrough(new TextDecoderStream()).getReader();

	for (let rest = ""; ;) {
		const { value, done } = await from.read();
		const lines = (rest + (value ?? "")).split("\n");

		rest = done ? "" : lines.pop();
		for (const line of lines)
			take(reading, line);
		if (done)
			return { at: performance.now(), ...reading };
	}
}

/* ------------------------------------------------------------ readings, and what grows between them */

const readings = [];

const last = () => readings[readings.length - 1];
const rows = name => last().by.get("tenantnat_" + name) ?? [];
const single = name => rows(name)[0]?.value;

/* Of a counter: [{labels, value, rate}]; a rate is null until there are two readings. */
function rated(name) {
	const seconds = (last().at - readings[0].at) / 1000, then = new Map();

	for (const row of readings[0].by.get("tenantnat_" + name) ?? [])
		then.set(row.key, row.value);
	return rows(name).map(row => {
		const before = then.get(row.key) ?? 0;

		return { labels: row.labels, value: row.value,
			rate: seconds > 0 ? (row.value < before ? row.value : row.value - before) / seconds : null };
	});
}

/* By tenant, of those that `is` holds for. */
function sums(list, is = () => true) {
	const out = new Map();

	for (const row of list) {
		if (is(row.labels))
			out.set(row.labels.tenant, (out.get(row.labels.tenant) ?? 0) + (row.rate ?? 0));
	}
	return out;
}

function states() {
	const out = new Map();

	for (const row of rows("router_state")) {
		if (row.value === 1)
			out.set(row.labels.tenant, row.labels.state);
	}
	return out;
}

/* What is known of every tenant, by its name. */
function tenants() {
	const state = states(), out = new Map();
	const packets = rated("packets_total"), bytes = rated("bytes_total"), dropped = sums(rated("dropped_packets_total"));
	const is = direction => labels => labels.direction === direction;
	const sets = { inPackets: sums(packets, is("in")), outPackets: sums(packets, is("out")),
		inBytes: sums(bytes, is("in")), outBytes: sums(bytes, is("out")), dropped };
	const flows = new Map(rows("flows").map(row => [row.labels.tenant, row.value]));
	const room = new Map(rows("flows_max").map(row => [row.labels.tenant, row.value]));

	for (const row of rows("mappings")) {
		const name = row.labels.tenant;
		const one = { name, mappings: row.value, state: state.get(name) ?? null,
			flows: flows.get(name), room: room.get(name) };

		for (const [what, of] of Object.entries(sets))
			one[what] = of.get(name) ?? 0;
		one.packets = one.inPackets + one.outPackets;
		out.set(name, one);
	}
	return out;
}

function look(tenant) {
	if (!tenant || tenant.state === null)
		return tenant ? "away" : "plain";
	if (tenant.dropped > 0)
		return tenant.dropped * 100 > tenant.packets + tenant.dropped ? "loses" : "drops";
	return tenant.packets > 0 ? "carries" : "plain";
}

const isDown = tenant => tenant?.state === "broken" || tenant?.state === "detached";

/* ------------------------------------------------------------ elements */

/* Text goes in as text, never as markup. */
function fill(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes))
		element.setAttribute(name, value);
	element.append(...children);
	return element;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

function rate(value) {
	if (readings.length < 2)
		return "–";
	return value >= 100 || value === 0 ? counts.format(Math.round(value)) : value.toPrecision(2).replace(/\.0$/, "");
}

function bits(value) {
	let unit = 0, n = value * 8;

	if (readings.length < 2)
		return "–";
	for (; n >= 1000 && unit < 4; unit++)
		n /= 1000;
	return `${n >= 100 || n === 0 ? Math.round(n) : Number(n.toPrecision(2))} ${["", "k", "M", "G", "T"][unit]}bit/s`;
}

/* Columns are [title, cell of a row, class]; the first one heads its row. */
function table(id, columns, list) {
	const head = make("thead", {}, make("tr", {}, ...columns.map(([title, , kind]) =>
		make("th", { scope: "col", class: kind ?? "" }, title))));
	const body = make("tbody", {}, ...list.slice(0, ROWS).map(row => make("tr", {}, ...columns.map(([, cell, kind], i) => {
		const value = cell(row), attributes = i ? {} : { scope: "row" };

		if (Array.isArray(value))
			return make("td", { ...attributes, class: value[0] }, value[1]);
		return make(i ? "td" : "th", { ...attributes, class: kind ?? "" }, value);
	}))));

	at(id + "-table").replaceChildren(head, body);
	at(id + "-table").hidden = !list.length;
}

function note(id, list, nothing) {
	const more = list.length - ROWS;

	at(id + "-note").textContent = more > 0 ? `and ${counts.format(more)} more; the filter finds them` : list.length ? "" : nothing;
}

/* ------------------------------------------------------------ what is asked for */

const words = () => at("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
const matches = (...texts) => words().every(word => texts.some(text => text.toLowerCase().includes(word)));

function showRouters(all) {
	const list = [...all.values()].filter(t => t.state !== null && matches(t.name, t.state));
	const order = t => isDown(t) ? 0 : t.state === "standby" ? 2 : 1;

	list.sort((a, b) => order(a) - order(b) || b.packets + b.dropped - a.packets - a.dropped || (a.name < b.name ? -1 : 1));
	table("routers", [
		["Tenant", t => t.name],
		["Router", t => [isDown(t) ? "bad" : t.state === "attached" ? "good" : "", t.state]],
		["Mappings", t => counts.format(t.mappings), "number"],
		["In, packets/s", t => rate(t.inPackets), "number"],
		["Out, packets/s", t => rate(t.outPackets), "number"],
		["In", t => bits(t.inBytes), "number"],
		["Out", t => bits(t.outBytes), "number"],
		["Dropped/s", t => t.dropped > 0 ? ["number bad", rate(t.dropped)] : rate(t.dropped), "number"],
		["Flows", t => t.flows === undefined ? "–" : `${counts.format(t.flows)} of ${counts.format(t.room)}`, "number"],
	], list);
	note("routers", list, words().length ? "No router here is like that." : "No router is defined on this host.");
}

function showDrops() {
	const list = rated("dropped_packets_total").filter(row => row.value > 0 && matches(row.labels.tenant, row.labels.reason));
	const meanings = new Map([...at("reasons").children].filter(e => e.tagName === "DT").map(e => [e.textContent, e.nextElementSibling]));

	list.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.value - a.value);
	table("drops", [
		["Tenant", row => row.labels.tenant],
		["Reason", row => row.labels.reason],
		["Dropped/s", row => rate(row.rate), "number"],
		["In all", row => counts.format(row.value), "number"],
		["What it means, and what to do", row => {
			const meaning = meanings.get(row.labels.reason);

			return meaning ? make("span", {}, ...meaning.cloneNode(true).childNodes) : "";
		}, "text"],
	], list);
	note("drops", list, words().length ? "No drop is like that." : "Nothing has been dropped.");
}

function showMappings() {
	const both = new Map();

	for (const [what, name] of [["packets", "mapping_packets_total"], ["bytes", "mapping_bytes_total"]]) {
		for (const { labels, rate: grown } of rated(name)) {
			const key = `${labels.tenant} ${labels.fixed}`;

			if (!both.has(key))
				both.set(key, { labels, in: {}, out: {} });
			both.get(key)[labels.direction][what] = grown ?? 0;
		}
	}
	const all = [...both.values()];
	const list = all.filter(({ labels: l }) => matches(l.tenant, l.name ?? "", l.fixed, l.shared));

	list.sort((a, b) => b.in.bytes + b.out.bytes - a.in.bytes - a.out.bytes);
	table("mappings", [
		["Tenant", m => m.labels.tenant],
		["Name", m => m.labels.name || "–"],
		["Fixed", m => m.labels.fixed],
		["Shared", m => m.labels.shared],
		["In, packets/s", m => rate(m.in.packets), "number"],
		["Out, packets/s", m => rate(m.out.packets), "number"],
		["In", m => bits(m.in.bytes), "number"],
		["Out", m => bits(m.out.bytes), "number"],
	], list);
	if (last().samples > SAMPLES) {
		table("mappings", [], []);
		note("mappings", [], "There are more mappings than a browser bears: `tenantnat stats --sort traffic` lists them.");
		return;
	}
	note("mappings", list, all.length ? "No mapping is like that."
		: "There are metrics of mappings only when the agent runs with --metrics-mappings.");
}

/* ------------------------------------------------------------ the map */

/* [{from, to, what, rate}]: a rule once for each tenant that it accepts; "*" is every tenant. */
function consents() {
	return rated("rule_packets_total").flatMap(({ labels, rate: grown }) => labels.from.split(", ").map(sender => {
		const [from, mapping] = sender.split("/");
		const what = [labels.to, labels.ports || "everything"].filter(Boolean).join(": ");

		return { from, to: labels.tenant, rate: grown ?? 0, what: mapping ? `${mapping} to ${what}` : what };
	}));
}

/* One for each pair. */
function arrows(list) {
	const out = new Map();

	for (const one of list) {
		const key = `${one.from} ${one.to}`, arrow = out.get(key) ?? { from: one.from, to: one.to, rate: 0, what: new Set() };

		arrow.rate += one.rate;
		arrow.what.add(one.what);
		out.set(key, arrow);
	}
	return [...out.values()];
}

/* The names of one side: the busiest, and then by name. */
function side(list, end, all) {
	const weight = name => all.get(name) ? all.get(name).packets + all.get(name).dropped : 0;
	const names = [...new Set(list.map(arrow => arrow[end]))];

	names.sort((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1));
	return names.slice(0, BOXES).sort();
}

const shortened = (text, n) => text.length > n ? text.slice(0, n - 1) + "…" : text;

function box(name, end, x, y, width, tenant) {
	const known = name === "*" ? "every tenant" : name;
	const said = tenant?.state ? `${known}: router ${tenant.state}, ${rate(tenant.packets)} packets/s, ${rate(tenant.dropped)} dropped/s`
		: known;
	const group = draw("g", { class: `box ${name === "*" ? "plain" : look(tenant)}${isDown(tenant) ? " down" : ""}`, role: "button",
		tabindex: "0", "aria-label": `${said}. Filter by it.`, "data-box": `${end} ${name}` },
		draw("title", {}, said),
		draw("rect", { x, y: y - 14, width, height: 28, rx: 5 }),
		draw("text", { x: x + width / 2, y: y + 4.5, "text-anchor": "middle" }, shortened(known, Math.floor(width / 8))));
	const choose = () => {
		at("filter").value = name === "*" || at("filter").value === name ? "" : name;
		show();
	};

	group.addEventListener("click", choose);
	group.addEventListener("keydown", event => {
		if (event.key === "Enter" || event.key === " ") {
			event.preventDefault();
			choose();
		}
	});
	return group;
}

/* Where on its curve a label is upon no other one; null: nowhere. A letter has some six pixels. */
function room(text, from, to, left, right, taken) {
	for (const t of [.5, .36, .64, .24, .76, .14, .86]) {
		/* a cubic whose control points are half way */
		const s = 1 - t, middle = (left + right) / 2, half = 3.1 * text.length;
		const x = s * s * s * left + 3 * s * t * middle + t * t * t * right;
		const y = from * (s * s * s + 3 * s * s * t) + to * (3 * s * t * t + t * t * t) - 5;
		const free = !taken.some(o => Math.abs(o.x - x) < o.half + half && Math.abs(o.y - y) < 14);

		if (free && x - half > left && x + half < right) {
			taken.push({ x, y, half });
			return { x, y };
		}
	}
	return null;
}

function curve(arrow, from, to, left, right, taken) {
	const live = arrow.rate > 0 ? " live" : "", middle = (left + right) / 2, end = right - 8;
	const width = arrow.rate > 0 ? Math.min(7, 1.5 + Math.log10(1 + arrow.rate)) : 1.2;
	const what = `${arrow.from === "*" ? "every tenant" : arrow.from} → ${arrow.to}: ${[...arrow.what].join("; ")}; ${rate(arrow.rate)} packets/s`;
	const parts = [
		draw("path", { class: "arrow" + live, "stroke-width": width.toFixed(1),
			d: `M${left} ${from} C${middle} ${from} ${middle} ${to} ${end} ${to}` }, draw("title", {}, what)),
		draw("path", { class: "tip" + live, d: `M${end} ${to - 5} L${right} ${to} L${end} ${to + 5} Z` }),
	];

	if (taken) {
		const text = shortened([...arrow.what].join("; "), 34) + (arrow.rate > 0 ? ` · ${rate(arrow.rate)}/s` : "");
		const place = room(text, from, to, left, end, taken);

		if (place)
			parts.push(draw("text", { class: "small", ...place, "text-anchor": "middle" }, text));
	}
	return parts;
}

function showMap(all) {
	const every = arrows(consents());
	const list = every.filter(arrow => matches(arrow.from) || matches(arrow.to));
	const senders = side(list, "from", all), takers = side(list, "to", all);
	const mean = name => {
		const from = list.filter(arrow => arrow.to === name).map(arrow => senders.indexOf(arrow.from)).filter(i => i >= 0);

		return from.reduce((sum, i) => sum + i, 0) / (from.length || 1);
	};
	const shown = list.filter(arrow => senders.includes(arrow.from) && takers.includes(arrow.to));
	const ordered = [...takers].sort((a, b) => mean(a) - mean(b) || (a < b ? -1 : 1));	/* arrows cross less */
	const width = Math.max(320, at("map").clientWidth), part = Math.min(190, Math.floor(width * .28));
	const height = 44 * Math.max(senders.length, takers.length, 1) + 8;
	const place = (names, name) => (height - 44 * names.length) / 2 + 44 * names.indexOf(name) + 22;
	const taken = shown.length <= LABELS && width >= 560 ? [] : null;
	const focused = document.activeElement?.dataset?.box;
	const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group",
		"aria-label": `${shown.length} arrows from tenants to those that accept them` });

	for (const arrow of shown)
		svg.append(...curve(arrow, place(senders, arrow.from), place(ordered, arrow.to), part + 2, width - part - 2, taken));
	svg.append(...svg.querySelectorAll("text"));
	for (const name of senders)
		svg.append(box(name, "from", 1, place(senders, name), part, all.get(name)));
	for (const name of ordered)
		svg.append(box(name, "to", width - part - 1, place(ordered, name), part, all.get(name)));
	at("map").replaceChildren(svg);
	[...svg.querySelectorAll(".box")].find(e => e.dataset.box === focused)?.focus();
	at("map-note").textContent = !every.length ? "No rule of accept is in force: nobody may reach anybody."
		: !list.length ? "No tenant is like that."
		: "On the left who sends, on the right who accepts. The rate of a rule is that of all whom it accepts."
			+ (shown.length < list.length ? ` ${shown.length} of ${counts.format(list.length)} arrows are here, those of the busiest tenants;`
				+ " the filter finds the others." : "");
}

function showRules() {
	const list = rated("rule_packets_total").filter(({ labels: l }) => matches(l.tenant, l.from, l.to ?? "", l.ports ?? ""));

	list.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0));
	table("rules", [
		["Tenant", row => row.labels.tenant],
		["Accepts", row => row.labels.from === "*" ? "every tenant" : row.labels.from],
		["To", row => row.labels.to || "all"],
		["Ports", row => row.labels.ports || "all"],
		["Packets/s", row => rate(row.rate), "number"],
		["Packets in all", row => counts.format(row.value), "number"],
	], list);
	note("rules", list, "No rule is like that.");
}

/* ------------------------------------------------------------ the rest */

const time = seconds => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";

function showAgent() {
	const list = [["Version", rows("build_info")[0]?.labels.version ?? "?"],
		["Last comparison", single("agent_last_look_timestamp_seconds") ? time(single("agent_last_look_timestamp_seconds")) : "none yet"],
		["Comparisons", counts.format(single("agent_looks_total") ?? 0)],
		["Repairs", counts.format(single("agent_mends_total") ?? 0)],
		["Failures", counts.format(single("agent_failures_total") ?? 0)]];

	if (single("cluster_connected") !== undefined)
		list.push(["Cluster", single("cluster_connected") ? `connected, ${single("cluster_behind_seconds")} s behind` : "not connected"]);
	if (single("neutron_last_read_timestamp_seconds") !== undefined)
		list.push(["Neutron", `as of ${time(single("neutron_last_read_timestamp_seconds"))}`]);
	at("agent-list").replaceChildren(...list.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function say(text, kind) {
	if (at("verdict").textContent !== text)
		at("verdict").textContent = text;
	at("verdict").className = kind;
}

function showVerdict(all) {
	const here = [...all.values()].filter(t => t.state !== null), down = here.filter(isDown);
	const dropping = here.filter(t => look(t) === "loses").length;

	if (down.length)
		say(`${down.length} of ${here.length} routers not attached: ${down.slice(0, 3).map(t => t.name).join(", ")}${down.length > 3 ? ", …" : ""}`, "bad");
	else if (dropping)
		say(`${here.length} routers attached; ${dropping} drop more than 1 of 100 packets`, "bad");
	else
		say(`${here.length} ${here.length === 1 ? "router" : "routers"} attached or standby`, "good");
}

function show() {
	if (!readings.length)
		return;
	const all = tenants();

	showVerdict(all);
	showRouters(all);
	showMap(all);
	showRules();
	showDrops();
	showMappings();
	showAgent();
}

/* ------------------------------------------------------------ reading, again and again */

let timer = 0;

const isPaused = () => at("pause").getAttribute("aria-pressed") === "true";

function later(took) {
	clearTimeout(timer);
	if (!isPaused() && !document.hidden)
		timer = setTimeout(read, readings.length < 2 ? FIRST_PAUSE : Math.max(PAUSE, SHARE * took));
}

async function read() {
	const begun = performance.now();

	clearTimeout(timer);
	try {
		const got = await fetch("/metrics", { cache: "no-store" });

		if (!got.ok)
			throw new Error(`${got.status}: ${(await got.text()).trim()}`);
		readings.push(await parse(got.body));
		if (readings.length > READINGS)
			readings.shift();
		at("main").classList.remove("old");
		show();
	} catch (error) {
		at("main").classList.add("old");
		say(`The metrics cannot be read (${error.message}); what is here is old`, "bad");
	}
	later(performance.now() - begun);
}

at("filter").addEventListener("input", show);
at("pause").addEventListener("click", () => {
	at("pause").setAttribute("aria-pressed", String(!isPaused()));
	if (isPaused())
		clearTimeout(timer);
	else
		read();
});
document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : isPaused() || read());
addEventListener("resize", show);
read();
