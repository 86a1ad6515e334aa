// Asks /api/status once a second and shows the answer. What is shown was written by strangers: it only ever becomes
// text nodes (`put`), with what would be invisible or turn the text around spelt out. Elements are changed in place and
// only where they differ, so that a screen reader keeps its place; the one live region is the verdict's sentence.
'use strict';

const PERIOD = 1000; // ms between an answer and the next question
const PATIENCE = 5000; // ms until a question counts as not answered
const SHORTEST = 60; // seconds that a plot shows where fewer are known
const LONGEST = 72; // characters of an id that are shown; of a longer one its head and tail
const LONGEST_TEXT = 240; // of a reason, a message, a record

const $ = id => document.getElementById(id);

// --- text --------------------------------------------------------------------------

// Controls, formats (bidi among them), surrogates, private and unassigned ones, all spaces but the plain one.
const ODD = /([\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs})/u;
const shown = new WeakMap(); // what an element shows

// Makes text the content of element; of more than `longest` characters only head and tail.
function put(element, text, longest = LONGEST) {
	text = String(text ?? '–');
	if (shown.get(element) === text) return;
	shown.set(element, text);
	const all = Array.from(text);
	const parts = all.length <= longest ? [text] :
		[all.slice(0, longest - 24).join(''), {gap: all.length - longest + 4}, all.slice(-20).join('')];
	element.replaceChildren(...parts.flatMap(part => part.gap ? [odd(`… ${part.gap} more …`)] :
		part.split(ODD).map((piece, i) => i % 2 ?
			odd('U+' + piece.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')) : document.createTextNode(piece))));
}

// A mark of our own within foreign text.
function odd(text) {
	return make('span', {className: 'odd', textContent: text});
}

function make(tag, properties = {}, ...children) {
	const element = Object.assign(document.createElement(tag), properties);
	element.append(...children);
	return element;
}

const integers = new Intl.NumberFormat('en');
const decimals = new Intl.NumberFormat('en', {maximumSignificantDigits: 3});

// Whole numbers with commas, exact also as strings of digits; what is no number stays as it is.
function count(value) {
	if (value === null || value === undefined) return '–';
	if (typeof value === 'string') return /^\d{1,40}$/.test(value) ? integers.format(BigInt(value)) : value;
	return Number.isInteger(value) || Math.abs(value) >= 100 ? integers.format(Math.round(value)) : decimals.format(value);
}

// For JSON.parse: versions go beyond what a double holds; such an integer stays its digits.
function exact(key, value, context) {
	return typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER && /^\d+$/.test(context?.source ?? '') ?
		context.source : value;
}

function duration(seconds) {
	if (!Number.isFinite(seconds)) return '–';
	const size = Math.abs(seconds);
	if (size === 0) return '0 s';
	if (size < 0.001) return `${decimals.format(seconds * 1e6)} µs`;
	if (size < 1) return `${decimals.format(seconds * 1e3)} ms`;
	if (size < 120) return `${decimals.format(seconds)} s`;
	for (const [unit, length] of [['min', 60], ['h', 3600], ['d', 86400]]) {
		if (size < length * 120 || unit === 'd') return `${count(Math.floor(seconds / length))} ${unit}`;
	}
}

function bytes(value) {
	if (!Number.isFinite(value)) return '–';
	let unit = 0;
	for (; value >= 1024 && unit < 4; unit++) value /= 1024;
	return `${decimals.format(value)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

// The time of day of a time of the answer; with the date where that is not the answer's own.
function clock(at, now) {
	const time = Date.parse(at);
	if (Number.isNaN(time)) return at ?? '–';
	const text = new Date(time).toISOString();
	return (text.slice(0, 10) === String(now).slice(0, 10) ? '' : text.slice(0, 10) + ' ') + text.slice(11, 19);
}

// Seconds between two times of the answer, so that this machine's clock does not matter.
function since(at, now) {
	return Math.max(0, (Date.parse(now) - Date.parse(at)) / 1000);
}

// --- tables ------------------------------------------------------------------------

const number = (title, get) => ({title, get: row => count(get(row)), kind: 'number'});
const time = (title, get) => ({title, get: (row, now) => clock(get(row), now), kind: 'time'});
const foreign = (title, get, longest) => ({title, get, longest, kind: 'foreign'});
const plain = (title, get) => ({title, get, kind: ''});

function event_detail(row) {
	if (row.event === 'fired') return `${duration(row.latenessUs / 1e6)} late`;
	if (row.event === 'cancelled') return `superseded by ${count(row.supersededBy)}`;
	return row.reason ?? row.accountType;
}

const TABLES = {
	due: {
		none: 'Nothing is pending.',
		columns: [plain('Due', row => row.label), number('Callbacks', row => row.count),
			{title: 'Share', kind: 'bar', get: row => row.share}],
	},
	totals: {
		none: 'No figures.',
		columns: [plain('What', row => row[0]), number('Number', row => row[1])],
	},
	richest: {
		none: 'No accounts yet.',
		columns: [foreign('Type', row => row.accountType), foreign('Account', row => row.id),
			number('Tokens', row => row.tokens), number('Version', row => row.version)],
	},
	restarts: {
		none: 'None.',
		columns: [time('At', row => row.at), plain('Program', row => row.program), foreign('Cause', row => row.cause, LONGEST_TEXT)],
	},
	rejects: {
		none: 'None.',
		columns: [time('At', row => row.at), foreign('Reason', row => row.reason, LONGEST_TEXT),
			foreign('Record', row => (row.rawEncoding === 'base64' ? 'base64: ' : '') + row.raw, LONGEST_TEXT),
			foreign('Source', row => row.source), number('Offset', row => row.offset)],
	},
	events: {
		none: 'None yet.',
		columns: [time('At', row => row.at), plain('Event', row => row.event), foreign('Account', row => row.id),
			number('Version', row => row.version), foreign('Detail', event_detail, LONGEST_TEXT),
			foreign('Source', row => row.source), number('Offset', row => row.offset)],
	},
	sources: {
		none: 'None yet.',
		columns: [foreign('Source', row => row.name), number('Read', row => row.read), number('Indexed', row => row.indexed),
			number('Stale', row => row.stale), number('Duplicate', row => row.duplicate),
			number('Conflict', row => row.conflict), number('Rejected', row => row.rejected),
			number('Committed', row => row.committedOffset), number('Delivered', row => row.deliveredOffset),
			time('Updated', row => row.updatedAt)],
	},
};

// On a phone rows become blocks, by CSS; the roles say that they are rows all the same.
function table_make(name) {
	const table = $(name), row = make('tr');
	for (const column of TABLES[name].columns) {
		const cell = make('th', {scope: 'col', className: column.kind, textContent: column.title});
		cell.setAttribute('role', 'columnheader');
		row.append(cell);
	}
	row.setAttribute('role', 'row');
	table.setAttribute('role', 'table');
	table.append(make('thead', {}, row), make('tbody'));
	table.tHead.setAttribute('role', 'rowgroup');
	table.tBodies[0].setAttribute('role', 'rowgroup');
	table.before(make('p', {className: 'none', textContent: TABLES[name].none}));
	table.hidden = true;
}

function table_row(columns) {
	const row = make('tr');
	row.setAttribute('role', 'row');
	columns.forEach((column, i) => {
		const cell = i ? make('td', {className: column.kind}) : make('th', {scope: 'row', className: column.kind});
		cell.setAttribute('role', i ? 'cell' : 'rowheader');
		cell.dataset.title = column.title;
		const inside = make(column.kind === 'bar' ? 'meter' : 'span');
		if (column.kind === 'bar') inside.setAttribute('aria-label', column.title);
		cell.append(inside);
		row.append(cell);
	});
	return row;
}

function table_fill(name, rows, now) {
	const table = $(name), body = table.tBodies[0], {columns} = TABLES[name];
	table.hidden = rows.length === 0;
	table.previousElementSibling.hidden = rows.length > 0;
	while (body.rows.length > rows.length) body.deleteRow(-1);
	while (body.rows.length < rows.length) body.append(table_row(columns));
	rows.forEach((row, i) => columns.forEach((column, j) => {
		const inside = body.rows[i].cells[j].firstChild, value = column.get(row, now);
		if (column.kind === 'bar') inside.value = value;
		else put(inside, value, column.longest);
	}));
}

// --- stages ------------------------------------------------------------------------

// list_fill(list, items, make, fill): as many elements as items, each filled with its own.
function list_fill(list, items, make_one, fill) {
	while (list.children.length > items.length) list.lastChild.remove();
	while (list.children.length < items.length) list.append(make_one());
	items.forEach((item, i) => fill(list.children[i], item));
}

// The mean of a series' last seconds: its last value alone would flicker.
function rate(values) {
	const known = (values ?? []).slice(-5).filter(Number.isFinite);
	return known.length ? `${count(known.reduce((a, b) => a + b, 0) / known.length)} /s` : '–';
}

// A stage's card: what it is called, how it is, its first figure large, the others below.
function stages_of(answer) {
	const {series = {}, lag = {}, latency = {}, totals = {}, database = {}, input} = answer;
	const own = {
		reader: [['read', rate(series.read)],
			...input?.size ? [['of its input', `${decimals.format(100 * input.bytes / input.size)} %`]] : []],
		writer: [['indexed', rate(series.indexed)], ['lag', `${count(lag.records)} records, ${duration(lag.seconds)}`],
			['commit, p99', duration(latency.commit?.p99)]],
		timerd: [['fired', rate(series.fired)], ['lateness, p99', duration(latency.lateness?.p99)],
			['pending', count(totals.pending)]],
		ack: [['arrival to told, p99', duration(latency.arrivalToTold?.p99)]],
	};
	const stages = (answer.programs ?? []).map(program => {
		const stopped = program.state === 'stopped', good = program.state === 'running';
		return {
			name: program.name, good, idle: stopped,
			state: stopped || good ? program.state :
				`${program.state} for ${duration(Math.floor(since(program.tickAt, answer.time)))}`,
			figures: [...own[program.name] ?? [['', '']], stopped ? ['last seen', clock(program.tickAt, answer.time)] :
				['up for', duration(Math.floor(since(program.startedAt, answer.time)))],
			['restarts', count(program.restarts)], ['process', String(program.pid ?? '–')]],
		};
	});
	stages.push({
		name: 'Postgres', state: database.reachable ? 'reachable' : 'not reachable', good: database.reachable,
		figures: [['retries', count(totals.retries)], ['schema', count(database.schema)],
			['asked', clock(database.askedAt, answer.time)]], // why it is not reachable is among the reasons
	}, {
		name: 'Disk', state: '', good: true,
		figures: [['free', bytes(answer.diskFreeBytes)], ['spool', bytes(answer.spoolBytes)]],
	});
	return stages;
}

function stage_make() {
	return make('li', {className: 'card'}, make('h3'), make('p', {className: 'state'}), make('dl'));
}

function stage_fill(card, stage) {
	const [name, state, list] = card.children;
	put(name, stage.name);
	put(state, stage.state);
	state.hidden = !stage.state;
	card.dataset.state = stage.good ? 'good' : stage.idle ? 'idle' : 'bad';
	list_fill(list, stage.figures, () => make('div', {}, make('dt'), make('dd')), (pair, [term, value]) => {
		put(pair.firstChild, term);
		put(pair.lastChild, value, LONGEST_TEXT);
	});
}

// --- plots -------------------------------------------------------------------------

const perSecond = value => `${count(value)} /s`;
const PLOTS = [
	{title: 'Records a second', series: ['read', 'indexed', 'fired', 'rejected'], unit: perSecond, axis: count},
	{title: 'Lag, records read and not committed', series: ['lag'], unit: count},
	{title: 'Lateness of callbacks, 99th percentile', series: ['latenessP99'], names: ['lateness'], unit: duration},
	{title: 'Pending callbacks', series: ['pending'], unit: count},
];
const PATTERNS = [null, [6, 3], [2, 3], [10, 3, 2, 3]]; // lines differ by more than their colour

// A figure: the plot is an image to a screen reader, and the caption says in words what it shows.
function plot_make(plot, i) {
	const canvas = make('div', {className: 'plot'}), key = make('ul', {className: 'key'});
	const caption = make('figcaption', {}, make('h3', {id: `plot-${i}`, textContent: plot.title}), key);
	canvas.setAttribute('role', 'img');
	canvas.setAttribute('aria-labelledby', `plot-${i}`);
	key.id = `key-${i}`;
	canvas.setAttribute('aria-describedby', key.id);
	$('plots').append(make('figure', {className: 'card'}, caption, canvas));
	plot.names ??= plot.series;
	plot.lines = plot.names.map((name, line) => {
		const text = make('span');
		key.append(make('li', {className: `line line-${line}`}, make('span', {className: 'swatch'}), text));
		return text;
	});
	plot.graph = new Dygraph(canvas, [[new Date(), ...plot.names.map(() => null)]], {
		labels: ['time', ...plot.names], legend: 'never', interactionModel: {}, labelsUTC: true, strokeWidth: 1.5,
		fillGraph: plot.series.length === 1, fillAlpha: 0.12, xRangePad: 2, rightGap: 4, highlightCircleSize: 3,
		series: Object.fromEntries(plot.names.map((name, line) => [name, {strokePattern: PATTERNS[line]}])),
		axes: {
			x: {drawGrid: false, pixelsPerLabel: 80, axisLabelFormatter: at => new Date(at).toISOString().slice(11, 19)},
			y: {axisLabelWidth: 62, pixelsPerLabel: 28, axisLabelFormatter: plot.axis ?? plot.unit, valueRange: [0, null]},
		},
		highlightCallback: (event, x, points, row) => {
			plot.row = row;
			plot_caption(plot);
		},
		unhighlightCallback: () => {
			plot.row = null;
			plot_caption(plot);
		},
	});
	plot.row = null;
}

// The values now, or where the pointer is.
function plot_caption(plot) {
	const at = plot.row !== null && plot.data[plot.row];
	plot.lines.forEach((line, i) => {
		const known = plot.data.map(row => row[i + 1]).filter(Number.isFinite);
		const value = at ? at[i + 1] : known.at(-1);
		const figure = Number.isFinite(value) ? plot.unit(value) : 'unknown';
		const most = known.length ? `, at most ${plot.unit(known.reduce((a, b) => Math.max(a, b)))}` : '';
		put(line, `${plot.names[i]} ${figure}${at ? ` at ${at[0].toISOString().slice(11, 19)}` : most}`);
	});
}

function plot_fill(plot, series) {
	const end = Date.parse(series.end), step = (series.step || 1) * 1000;
	const size = Math.max(0, ...plot.series.map(name => series[name]?.length ?? 0));
	if (Number.isNaN(end)) return;
	plot.data = Array.from({length: size}, (unused, i) => [new Date(end - (size - 1 - i) * step),
		...plot.series.map(name => series[name]?.[i - size + series[name].length])
			.map(value => Number.isFinite(value) ? value : null)]);
	const most = plot.data.reduce((a, row) => Math.max(a, ...row.slice(1)), 0);
	plot.graph.updateOptions({
		file: plot.data, dateWindow: [end - Math.max(size - 1, SHORTEST) * step, end],
		valueRange: [0, most > 0 ? most * 1.1 : 1],
	});
	plot_caption(plot);
}

// Canvas knows no CSS: the colours are read from there, again when light and dark change.
function plots_colour() {
	const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name).trim();
	for (const plot of PLOTS) {
		plot.graph.updateOptions({
			colors: plot.series.map((name, i) => colour(`--line-${i}`)),
			gridLineColor: colour('--grid'), axisLineColor: colour('--grid'),
		});
	}
}

// --- the whole ---------------------------------------------------------------------

const DUE = {0: 'overdue', 1: 'within 1 s', 10: '1 to 10 s', 60: '10 to 60 s', 600: '1 to 10 min', 3600: '10 to 60 min',
	86400: '1 to 24 h', null: 'later'};

// What each number is. Of the last ones, which take longer to count, some are older: no sum is promised.
const TOTALS = [['read', 'Read'], ['indexed', '= indexed'], ['stale', '+ stale'], ['duplicate', '+ duplicate'],
	['conflict', '+ conflict'], ['rejected', '+ rejected'], ['fired', 'Fired'], ['cancelled', 'Cancelled'],
	['pending', 'Pending'], ['restarts', 'Restarts']];

let last = null; // the last answer
let paused = false;

function verdict_put(state, sentence, age, reasons) {
	$('verdict').dataset.state = state;
	put($('sentence'), sentence);
	put($('age'), age);
	$('age').hidden = !age;
	list_fill($('reasons'), reasons, () => make('li'), (item, reason) => put(item, reason, LONGEST_TEXT));
	$('reasons').hidden = reasons.length === 0;
	document.title = `${state === 'good' ? '' : `${sentence.replace(/ since .*/, '')} – `}acctflow`;
}

function answer_show(answer) {
	const now = answer.time, reasons = (answer.reasons ?? []).map(String);
	put($('version'), answer.version);
	put($('when'), `As of ${clock(now, now)} UTC`);
	verdict_put(answer.ready ? 'good' : 'bad', answer.ready ? 'Ready' : 'Not ready', '', reasons);
	list_fill($('stages'), stages_of(answer), stage_make, stage_fill);
	for (const plot of PLOTS) plot_fill(plot, answer.series ?? {});

	const due = answer.pendingByDue ?? [], all = due.reduce((sum, row) => sum + row.count, 0);
	table_fill('due', all ? due.map(row => ({
		label: DUE[row.seconds] ?? `within ${duration(row.seconds)}`, count: row.count, share: row.count / all,
	})) : [], now);
	const totals = answer.totals ?? {};
	table_fill('totals', TOTALS.map(([name, label]) => [label, totals[name]]), now);
	for (const name of ['richest', 'restarts', 'rejects', 'events', 'sources']) table_fill(name, answer[name] ?? [], now);
}

function gone_show(why) {
	const text = last ? ` since ${clock(last.answer.time, last.answer.time)} UTC` : '';
	const age = last ? `${duration(Math.round((performance.now() - last.at) / 1000))} ago. All figures below are of then.` : '';
	verdict_put('gone', `No answer from statusd${text}`, age, [why]);
}

async function poll() {
	if (!paused) {
		try {
			const response = await fetch('api/status', {cache: 'no-store', signal: AbortSignal.timeout(PATIENCE)});
			if (!response.ok) throw new Error(`It answered with HTTP status ${response.status}.`);
			const answer = JSON.parse(await response.text(), exact);
			if (!paused) {
				last = {answer, at: performance.now()};
				answer_show(answer);
			}
		} catch (error) {
			gone_show(error.name === 'TimeoutError' ? `No answer within ${duration(PATIENCE / 1000)}.` :
				error.name === 'TypeError' ? 'The connection failed.' : error.message);
		}
	}
	setTimeout(poll, PERIOD);
}

function pause() {
	paused = !paused;
	$('pause').setAttribute('aria-pressed', String(paused));
	document.documentElement.classList.toggle('paused', paused);
	if (paused && last) put($('when'), `Paused at ${clock(last.answer.time, last.answer.time)} UTC`);
}

// Its legend writes style attributes, which our Content-Security-Policy forbids; ours is the caption.
Dygraph.PLUGINS = Dygraph.PLUGINS.filter(plugin => plugin !== Dygraph.Plugins.Legend);

Object.keys(TABLES).forEach(table_make);
PLOTS.forEach(plot_make);
plots_colour();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', plots_colour);
$('pause').addEventListener('click', pause);
poll();
