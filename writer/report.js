
// --- the report of a run -----------------------------------------------------------------
// Draws what `writer report` embedded: figures and tables as elements, the overview, the lanes and the rates on canvas. Of the
// lanes only those are drawn that are visible. Times are ms from the start of the run.

const DATA = JSON.parse($('data').textContent);
const rows_of = name => DATA[name].slice(1); // the first has the columns' names
const RUN = Object.fromEntries(DATA.run[0].map((name, i) => [name, DATA.run[1][i] ?? null]));
const TYPES = rows_of('types'), CHANGES = rows_of('changes'), REJECTS = rows_of('rejects');
const END = Math.max(RUN.length, 1) * 1.02; // of the time axis

// A version, as the lanes have it.
const [AT, VERSION, STATE, TYPE, TOKENS, DUE, SETTLED, ID, VERSIONS] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const STATES = ['pending', 'fired', 'cancelled', 'failed', 'stale', 'without callback', 'deleted'];
const [PENDING, FIRED, CANCELLED, FAILED, STALE, SILENT, DELETED] = STATES.keys();

// --- times -----------------------------------------------------------------------------

const fine = new Intl.NumberFormat('en', {maximumFractionDigits: 3});
const two = value => String(value).padStart(2, '0');

// A time of the run: ms where it is short, else minutes and seconds, hours, days; as exact as such steps need it.
function instant(ms, step = 1) {
	if (ms === null || ms === undefined) return '–';
	if (RUN.length < 10_000) return `${fine.format(ms)} ms`;
	const digits = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
	const all = Math.round(ms * 10 ** (digits - 3)), unit = 10 ** digits, seconds = Math.floor(all / unit);
	const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24, minutes = Math.floor(seconds / 60) % 60;
	const rest = two(seconds % 60) + (digits ? `.${String(all % unit).padStart(digits, '0')}` : '');
	return days || hours ? `${days ? `${days} d ` : ''}${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].map(s => s * 1000);

// A round step of which at most so many fit into a span of time.
function time_step(span, most) {
	const least = span / most;
	return STEPS.find(step => step >= least && least > 500) ?? (least > 500 ? round_step(least / 86_400_000) * 86_400_000 : round_step(least));
}

// The least of 1, 2, 5, 10, … that is not below a value.
function round_step(least) {
	const power = 10 ** Math.floor(Math.log10(least));
	return [1, 2, 5, 10].find(n => n * power >= least * 0.9999) * power;
}

// --- canvas ----------------------------------------------------------------------------

const colours = {};
function colours_read() {
	const style = getComputedStyle(document.documentElement);
	for (const name of ['back', 'card', 'text', 'soft', 'edge', 'grid', 'link', 'line-0', 'line-1', 'line-2', 'line-3'])
		colours[name] = style.getPropertyValue(`--${name}`).trim();
}

// A canvas as large as its element, empty, measured in the page's pixels.
function surface(canvas) {
	const {clientWidth: width, clientHeight: height} = canvas, ratio = devicePixelRatio;
	const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
	if (canvas.width !== pixels[0]) canvas.width = pixels[0];
	if (canvas.height !== pixels[1]) canvas.height = pixels[1];
	const context = canvas.getContext('2d');
	context.setTransform(ratio, 0, 0, ratio, 0, 0);
	context.clearRect(0, 0, width, height);
	context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
	context.textBaseline = 'middle';
	return {context, width, height};
}

function line(context, x1, y1, x2, y2) {
	context.beginPath();
	context.moveTo(x1, y1);
	context.lineTo(x2, y2);
	context.stroke();
}

// What is invisible is spelt out; what is too long for the width loses its middle.
function fitted(context, text, width) {
	const all = Array.from(text.slice(0, 300), letter => ODD.test(letter) ? `U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}` : letter);
	if (text.length <= 300 && context.measureText(all.join('')).width <= width) return all.join('');
	for (let keep = Math.min(all.length - 1, 60); keep > 1; keep--) {
		const short = [...all.slice(0, Math.ceil(keep / 2)), '…', ...all.slice(all.length - Math.floor(keep / 2))].join('');
		if (context.measureText(short).width <= width) return short;
	}
	return '…';
}

// A time axis: labels at y, and lines from there to the bottom.
function axis_draw(context, left, width, y, bottom, from, to) {
	const step = time_step(to - from, Math.max(2, width / 70));
	context.lineWidth = 1;
	context.textAlign = 'center';
	for (let i = Math.ceil(from / step); i * step <= to; i++) {
		const x = Math.round(left + (i * step - from) / (to - from) * width) + 0.5, text = instant(i * step, step);
		context.strokeStyle = colours.grid;
		line(context, x, y + 9, x, bottom);
		context.fillStyle = colours.soft;
		const half = context.measureText(text).width / 2;
		context.fillText(text, Math.min(Math.max(x, left + half), left + width - half), y);
	}
}

// --- marks -----------------------------------------------------------------------------

const BARS = {[PENDING]: 'line-0', [FIRED]: 'line-2', [CANCELLED]: 'line-1', [FAILED]: 'line-3'};

// The bar of a callback: from the version's arrival to its end. A pending one is open there.
function bar_draw(context, state, x1, x2, y) {
	context.fillStyle = context.strokeStyle = colours[BARS[state]];
	context.globalAlpha = state === PENDING ? 0.15 : 0.4;
	context.fillRect(x1, y - 3.5, Math.max(1, x2 - x1), 7);
	context.globalAlpha = 1;
	if (state !== PENDING) return;
	context.lineWidth = 1;
	line(context, x1, y - 3.5, x2, y - 3.5);
	line(context, x1, y + 3.5, x2, y + 3.5);
}

// How a callback ended: a filled disc, a cross, a filled triangle; or what else a version is: a diamond, a square.
function mark_draw(context, state, x, y) {
	context.lineWidth = 2;
	context.fillStyle = context.strokeStyle = colours[BARS[state] ?? (state === STALE ? 'soft' : 'text')];
	context.beginPath();
	if (state === FIRED) {
		context.arc(x, y, 4, 0, 7);
		context.fill();
	} else if (state === CANCELLED) {
		for (const side of [-1, 1]) {
			context.moveTo(x - 4, y - 4 * side);
			context.lineTo(x + 4, y + 4 * side);
		}
		context.stroke();
	} else if (state === FAILED) {
		context.moveTo(x, y - 5.5);
		context.lineTo(x + 5.5, y + 4.5);
		context.lineTo(x - 5.5, y + 4.5);
		context.fill();
	} else if (state === STALE) {
		context.moveTo(x, y - 5.5);
		for (const [dx, dy] of [[5, 0], [0, 5.5], [-5, 0]]) context.lineTo(x + dx, y + dy);
		context.closePath();
		context.lineWidth = 1.5;
		context.stroke();
	} else if (state === DELETED) {
		context.lineWidth = 1.5;
		context.strokeRect(x - 4.5, y - 4.5, 9, 9);
		line(context, x - 4.5, y, x + 4.5, y);
	}
}

// Where a version came.
function tick_draw(context, x, y) {
	context.fillStyle = colours.text;
	context.fillRect(Math.round(x) - 0.75, y - 8, 1.5, 16);
}

const KEY = [[SILENT, 'indexed'], [FIRED, 'fired'], [CANCELLED, 'cancelled'], [FAILED, 'failed'], [PENDING, 'pending'], [STALE, 'stale'], [DELETED, 'deleted']];

function key_draw() {
	list_fill($('marks'), KEY, () => make('li', {}, make('canvas', {ariaHidden: 'true'}), make('span')), (item, [state, text]) => {
		const {context} = surface(item.firstChild);
		version_draw(context, state, state in BARS ? 5 : 23, 38, 38, 9);
		put(item.lastChild, text);
	});
}

// One version. A cross is within its bar's end, as the next version begins there; late is what a callback waited when it was due.
function version_draw(context, state, x, due, end, y) {
	if (state in BARS) bar_draw(context, state, x, state === PENDING ? due : Math.min(due, end), y);
	if (state in BARS && state !== CANCELLED && end > due) {
		context.fillStyle = colours[BARS[state]];
		context.fillRect(due, y - 1, end - due, 2);
	}
	if (state !== STALE) tick_draw(context, x, y);
	mark_draw(context, state, state in BARS ? state === CANCELLED && end - x > 14 ? end - 6 : end : x, y);
}

// --- lanes -----------------------------------------------------------------------------

const accounts = [];
for (const row of rows_of('lanes')) {
	if (row.length > ID) accounts.push({id: row[ID], versions: row[VERSIONS], rows: [], counts: STATES.map(() => 0)});
	const account = accounts.at(-1);
	account.rows.push(row);
	account.counts[row[STATE]]++;
}
const SHOWN = accounts.reduce((sum, account) => sum + account.rows.length, 0);

const AXIS = 26; // px above the lanes
const view = {from: 0, to: END}; // the time that is shown
const lanes = {all: accounts, chosen: accounts[0] ?? null, gutter: 0, width: 0, high: 0};
const [lanes_canvas, lanes_space] = $('lanes').children;

const x_of = ms => lanes.gutter + (ms - view.from) / (view.to - view.from) * lanes.width;
const ms_of = x => view.from + (x - lanes.gutter) / lanes.width * (view.to - view.from);

// How the lanes lie: few are high and have their versions' names, on a phone ids stand above.
function lanes_lay() {
	const wide = $('lanes').clientWidth, narrow = wide < 560, few = lanes.all.length <= 24;
	lanes.gutter = narrow ? 8 : Math.min(220, wide * 0.25);
	lanes.width = wide - lanes.gutter - 12;
	lanes.above = (few ? 14 : 0) + (narrow ? 16 : 0); // px for text within a lane
	lanes.high = lanes.above + 26;
	lanes.few = few;
	lanes.narrow = narrow;
	const all = AXIS + Math.max(1, lanes.all.length) * lanes.high + 4, high = Math.round(Math.min(all, Math.max(280, innerHeight * 0.6)));
	$('lanes').style.height = lanes_canvas.style.height = `${high}px`;
	lanes_space.style.height = `${all - high}px`;
}

function lane_draw(context, account, top) {
	const y = top + lanes.above + 13, right = lanes.gutter + lanes.width;
	if (account === lanes.chosen) {
		context.fillStyle = colours.grid;
		context.fillRect(0, top, right + 12, lanes.high);
	}
	context.strokeStyle = colours.grid;
	context.lineWidth = 1;
	line(context, 0, top + lanes.high - 0.5, right + 12, top + lanes.high - 0.5);
	context.fillStyle = colours.text;
	context.textAlign = 'left';
	const label = account.label ??= fitted(context, account.id, lanes.narrow ? lanes.width : lanes.gutter - 20);
	context.fillText(label, 8, lanes.narrow ? top + 11 : y);
	context.save();
	context.beginPath();
	context.rect(lanes.gutter - 8, top, lanes.width + 16, lanes.high);
	context.clip();
	let named = -1e9;
	const drawn = new Map(); // what is where another of its kind is already is not drawn again
	for (const row of account.rows) {
		const state = row[STATE], x = x_of(row[AT]), due = x_of(row[DUE] ?? row[AT]), end = state === PENDING ? due : x_of(row[SETTLED] ?? row[AT]);
		if (Math.max(due, end) < lanes.gutter - 12 && x < lanes.gutter - 12) continue;
		if (x > right + 12) break;
		const place = `${Math.round(x)} ${Math.round(Math.min(end, right + 20))}`;
		if (drawn.get(state) === place) continue;
		drawn.set(state, place);
		version_draw(context, state, Math.max(x, -50), Math.min(due, right + 50), Math.min(end, right + 50), y);
		const text = `v${row[VERSION]}`, wide = lanes.few ? context.measureText(text).width : 0;
		if (lanes.few && x > named + 4 && x >= lanes.gutter - 8) {
			context.fillStyle = colours.soft;
			context.fillText(text, x - 2, y - 16);
			named = x + wide;
		}
	}
	context.restore();
}

function lanes_draw() {
	const {context, width, height} = surface(lanes_canvas), scrolled = $('lanes').scrollTop;
	context.save();
	context.beginPath();
	context.rect(0, AXIS, width, height);
	context.clip();
	axis_draw(context, lanes.gutter, lanes.width, 12, height, view.from, view.to);
	for (let i = Math.max(0, Math.floor(scrolled / lanes.high)); i < lanes.all.length && i * lanes.high - scrolled < height; i++)
		lane_draw(context, lanes.all[i], AXIS + i * lanes.high - scrolled);
	context.restore();
	context.fillStyle = colours.card;
	context.fillRect(0, 0, width, AXIS);
	axis_draw(context, lanes.gutter, lanes.width, 12, AXIS, view.from, view.to);
	if (!lanes.all.length) {
		context.fillStyle = colours.soft;
		context.textAlign = 'left';
		context.fillText(accounts.length ? 'No id contains that.' : 'No account.', 8, AXIS + 14);
	}
}

let asked = false;
function draw() {
	if (asked) return;
	asked = true;
	requestAnimationFrame(() => {
		asked = false;
		lanes_draw();
		density_draw();
	});
}

// Shows that time, or as much of it as there is.
function view_set(from, to) {
	const span = Math.min(END, Math.max(END / 1e6, to - from));
	view.from = Math.min(Math.max(0, from + (to - from - span) / 2), END - span);
	view.to = view.from + span;
	$('tip').hidden = true;
	draw();
}

function zoom(factor, at = (view.from + view.to) / 2) {
	view_set(at - (at - view.from) * factor, at + (view.to - at) * factor);
}

// The accounts whose id contains what was typed, in the order that was chosen.
function lanes_choose() {
	const text = $('filter').value.toLowerCase();
	lanes.all = accounts.filter(account => account.id.toLowerCase().includes(text));
	if ($('order').value === 'id') lanes.all.sort((a, b) => a.id < b.id ? -1 : 1);
	lanes_text();
	lanes_lay();
	$('lanes').scrollTop = 0;
	pages_show('accounts', lanes.all);
	if (!lanes.all.includes(lanes.chosen)) account_choose(lanes.all[0] ?? null);
	draw();
}

function lanes_text() {
	const part = accounts.length < RUN.accounts ? `, those with the most versions (${count(SHOWN)} of ${count(RUN.versions)})` : '';
	put($('lanes-text'), `Showing ${count(lanes.all.length)} of ${count(RUN.accounts)} accounts${part}. A bar is a callback, from when its version was ingested `
		+ 'to when it fired, failed, was cancelled by a newer version, or is due.', 1000);
}

function account_choose(account) {
	lanes.chosen = account;
	const counts = account ? STATES.map((state, i) => account.counts[i] ? `${count(account.counts[i])} ${state}` : '').filter(Boolean).join(', ') : '';
	const part = account && account.rows.length < account.versions ? `the first ${count(account.rows.length)} of ${count(account.versions)} versions` :
		`${count(account?.versions)} ${account?.versions === 1 ? 'version' : 'versions'}`;
	$('account').hidden = !account;
	if (account) put($('account'), `${account.id}: ${part}: ${counts}`, LONGEST_TEXT);
	pages_show('versions', account?.rows ?? []);
	draw();
}

// Chooses the account that is so many lanes further, and shows it.
function account_step(by) {
	const at = Math.min(Math.max(0, lanes.all.indexOf(lanes.chosen) + by), lanes.all.length - 1);
	if (at < 0) return;
	const top = at * lanes.high, visible = $('lanes').clientHeight - AXIS;
	if (top < $('lanes').scrollTop) $('lanes').scrollTop = top;
	if (top + lanes.high > $('lanes').scrollTop + visible) $('lanes').scrollTop = top + lanes.high - visible;
	account_choose(lanes.all[at]);
}

const page_lanes = () => Math.max(1, Math.floor(($('lanes').clientHeight - AXIS) / lanes.high) - 1);
const pan = share => view_set(view.from + share * (view.to - view.from), view.to + share * (view.to - view.from));
const KEYS = {
	ArrowUp: () => account_step(-1), ArrowDown: () => account_step(1), PageUp: () => account_step(-page_lanes()), PageDown: () => account_step(page_lanes()),
	Home: () => account_step(-Infinity), End: () => account_step(Infinity), ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2),
	'+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), 0: () => view_set(0, END),
};

function account_at(y) {
	return y < AXIS ? undefined : lanes.all[Math.floor((y - AXIS + $('lanes').scrollTop) / lanes.high)];
}

// The version whose mark or bar is nearest to x, if any is near.
function version_at(account, x) {
	let best = null, least = 7;
	for (const row of account.rows) {
		const start = x_of(row[AT]), end = x_of(row[SETTLED] ?? row[DUE] ?? row[AT]);
		const far = Math.min(Math.abs(x - start), Math.abs(x - end), x > start && x < end ? 5 : Infinity);
		if (far < least) [best, least] = [row, far];
	}
	return best;
}

// What became of a version, in words.
function version_text(row) {
	const late = row[SETTLED] - row[DUE];
	switch (row[STATE]) {
	case FIRED: return `fired at ${instant(row[SETTLED])}${late > 0 ? `, ${duration(late / 1000)} late` : ''}`;
	case CANCELLED: return `cancelled at ${instant(row[SETTLED])}, was due at ${instant(row[DUE])}`;
	case FAILED: return `failed at ${instant(row[SETTLED])}, was due at ${instant(row[DUE])}`;
	case PENDING: return `pending until ${instant(row[DUE])}`;
	case STALE: return 'stale: it came after a newer one';
	case DELETED: return 'deleted';
	}
	return 'without callback';
}

function tip_show(x, y) {
	const account = account_at(y), row = account && x >= lanes.gutter - 8 ? version_at(account, x) : null, tip = $('tip');
	tip.hidden = !row;
	if (!row) return;
	put(tip, `${account.id} v${row[VERSION]} at ${instant(row[AT])}: ${version_text(row)}; ${count(row[TOKENS] ?? null)} tokens`, LONGEST_TEXT);
	tip.style.left = `${Math.max(4, Math.min(x + 12, $('frame').clientWidth - tip.offsetWidth - 4))}px`;
	tip.style.top = `${y + 18 + tip.offsetHeight < $('frame').clientHeight ? y + 18 : Math.max(0, y - tip.offsetHeight - 10)}px`;
}

let drag = null;
function lanes_listen() {
	const element = $('lanes'), place = event => {
		const box = element.getBoundingClientRect();
		return [event.clientX - box.left, event.clientY - box.top];
	};
	element.addEventListener('keydown', event => {
		if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
		event.preventDefault();
		KEYS[event.key]();
	});
	for (const button of $('zoom').children) button.addEventListener('click', () => KEYS[button.dataset.key]());
	element.addEventListener('scroll', () => {
		$('tip').hidden = true;
		draw();
	}, {passive: true});
	element.addEventListener('wheel', event => {
		const [x] = place(event), across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
		if (event.ctrlKey || event.metaKey) zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), ms_of(x));
		else if (event.shiftKey || Math.abs(across) > Math.abs(event.deltaY)) pan(across / lanes.width);
		else return;
		event.preventDefault();
	}, {passive: false});
	element.addEventListener('pointerdown', event => {
		const [x, y] = place(event);
		if (event.button === 0 && x < element.clientWidth) drag = {x, y, from: view.from, to: view.to, moved: false};
	});
	element.addEventListener('pointermove', event => {
		const [x, y] = place(event);
		if (!drag) return event.pointerType === 'mouse' ? tip_show(x, y) : undefined;
		if (Math.abs(x - drag.x) > 4 && !drag.moved) {
			drag.moved = true;
			element.setPointerCapture(event.pointerId);
		}
		const by = (drag.x - x) / lanes.width * (drag.to - drag.from);
		if (drag.moved) view_set(drag.from + by, drag.to + by);
	});
	element.addEventListener('pointerup', event => {
		const [x, y] = place(event), account = account_at(y);
		if (drag && !drag.moved && account) {
			account_choose(account);
			tip_show(x, y);
		}
		drag = null;
	});
	for (const name of ['pointercancel', 'pointerleave']) {
		element.addEventListener(name, () => {
			if (name === 'pointercancel' || !drag?.moved) drag = null;
			$('tip').hidden = true;
		});
	}
	$('filter').addEventListener('input', lanes_choose);
	$('order').addEventListener('change', lanes_choose);
	$('accounts').addEventListener('click', event => {
		const button = event.target.closest('button'), row = button?.closest('tr');
		if (row) account_step(lanes.all.indexOf(PAGES.accounts.all[PAGES.accounts.at + row.sectionRowIndex]) - lanes.all.indexOf(lanes.chosen));
	});
}

// --- the overview ----------------------------------------------------------------------

const DENSITY = rows_of('density'), PARTS = Math.min(64, RUN.accounts), DENSEST = DENSITY.reduce((most, row) => Math.max(most, row[2]), 1);
let select = null; // of the overview, in px

function density_draw() {
	const {context, width, height} = surface($('density')), high = height - 20;
	axis_draw(context, 0, width, height - 8, height, 0, END);
	const x = ms => ms / END * width, part = high / Math.max(1, PARTS);
	context.fillStyle = colours['line-0'];
	for (const [row, bin, versions] of DENSITY) {
		context.globalAlpha = 0.15 + 0.85 * Math.log1p(versions) / Math.log1p(DENSEST);
		context.fillRect(x(bin * RUN.bin), row * part, Math.max(2, x(RUN.bin)), Math.max(1, part - (part > 4 ? 1 : 0)));
	}
	context.globalAlpha = 1;
	const [from, to] = select ? [Math.min(...select), Math.max(...select)] : [x(view.from), x(view.to)];
	context.fillStyle = colours.soft;
	context.globalAlpha = 0.18;
	context.fillRect(0, 0, from, high);
	context.fillRect(to, 0, width - to, high);
	context.globalAlpha = 1;
	context.strokeStyle = colours.link;
	context.lineWidth = 1.5;
	context.strokeRect(from + 0.75, 0.75, Math.max(2, to - from - 1.5), high - 1.5);
}

function density_listen() {
	const element = $('density'), place = event => event.clientX - element.getBoundingClientRect().left;
	const scale = px => px / element.clientWidth * END;
	element.addEventListener('pointerdown', event => {
		select = [place(event), place(event)];
		element.setPointerCapture(event.pointerId);
	});
	element.addEventListener('pointermove', event => {
		if (!select) return;
		select[1] = place(event);
		draw();
	});
	element.addEventListener('pointerup', () => {
		if (!select) return;
		const [from, to] = [Math.min(...select), Math.max(...select)], span = view.to - view.from;
		select = null;
		if (to - from > 4) view_set(scale(from), scale(to));
		else view_set(scale(from) - span / 2, scale(from) + span / 2);
	});
	element.addEventListener('pointercancel', () => {
		select = null;
		draw();
	});
}

// --- rates -----------------------------------------------------------------------------

const SERIES = ['read', 'indexed', 'fired', 'rejected'];
const PATTERNS = [[], [6, 3], [2, 3], [10, 3, 2, 3]]; // lines differ by more than their colour
const BIN = 3 * RUN.bin; // ms, some eighty of them
const PER = BIN >= 1000 ? 1000 / BIN : 1; // per second, or what came in each bin where that is shorter
const RATES = [];
for (const [bin, ...values] of rows_of('rates')) {
	const row = RATES.at(-1)?.[0] === Math.floor(bin / 3) ? RATES.at(-1) : [Math.floor(bin / 3), 0, 0, 0, 0];
	if (row !== RATES.at(-1)) RATES.push(row);
	values.forEach((value, i) => row[i + 1] += value);
}

function rates_make() {
	put($('rates-text'), PER === 1 ? `Records in each ${fine.format(BIN)} ms` : 'Records per second');
	list_fill($('rates-key'), SERIES, () => make('li', {}, make('span', {className: 'swatch'}), make('span')), (item, name) => {
		const i = SERIES.indexOf(name), all = RATES.map(row => row[i + 1]);
		item.className = `line-${i}`;
		put(item.lastChild, `${name}: ${count(all.reduce((sum, n) => sum + n, 0))}, at most ${count(all.reduce((most, n) => Math.max(most, n), 0) * PER)}${PER === 1 ? '' : ' /s'}`);
	});
}

function rates_draw() {
	const {context, width, height} = surface($('plot')), left = 46, bottom = height - 20;
	const most = RATES.reduce((a, row) => Math.max(a, row[1], row[2], row[3], row[4]), 0) * PER || 1, step = round_step(most / 4);
	axis_draw(context, left, width - left - 6, height - 8, height, 0, END);
	const bins = Math.floor(RUN.length / BIN) + 1, x = bin => left + bin * BIN / END * (width - left - 6), y = value => bottom - 4 - value / most * (bottom - 14);
	context.textAlign = 'right';
	for (let value = 0; value <= most * 1.001; value += step) {
		context.strokeStyle = colours.grid;
		context.lineWidth = 1;
		line(context, left, Math.round(y(value)) + 0.5, width, Math.round(y(value)) + 0.5);
		context.fillStyle = colours.soft;
		context.fillText(value >= 10_000 ? `${fine.format(value / 1000)}k` : fine.format(value), left - 6, y(value));
	}
	context.lineWidth = 1.5;
	SERIES.forEach((name, i) => {
		const values = new Array(bins + 1).fill(0);
		for (const row of RATES) values[Math.min(bins, row[0])] += row[i + 1] * PER;
		context.strokeStyle = colours[`line-${i}`];
		context.setLineDash(PATTERNS[i]);
		context.beginPath();
		values.forEach((value, bin) => context.lineTo(x(bin), y(value)));
		context.stroke();
	});
	context.setLineDash([]);
}

// --- tables ----------------------------------------------------------------------------

const moment = (title, get) => ({title, get: row => instant(get(row)), kind: 'number time'});
const type_name = n => n === null || n === undefined ? null : TYPES[n][0];
const changes_of = new Map();
for (const row of CHANGES) changes_of.set(row[1], (changes_of.get(row[1]) ?? 0) + 1);
const CHANGED = CHANGES[0]?.[6] ?? 0;
const bound = us => duration(us / 1e6);

const TABLES = {
	versions: {rows: 10, none: 'No version.', columns: [plain('Version', row => `v${row[VERSION]}`), moment('Ingested', row => row[AT]), plain('State', version_text),
		foreign('Type', row => type_name(row[TYPE])), number('Tokens', row => row[TOKENS])]},
	accounts: {rows: 10, none: 'None.', columns: [{...foreign('Account', account => account.id), tag: 'button'}, moment('First', account => account.rows[0][AT]),
		number('Versions', account => account.versions), ...STATES.map((state, i) => number(state[0].toUpperCase() + state.slice(1), account => account.counts[i]))]},
	rates: {rows: 20, none: 'Nothing happened.', columns: [moment('From', row => row[0] * BIN), ...SERIES.map((name, i) => number(name[0].toUpperCase() + name.slice(1), row => row[i + 1]))]},
	late: {rows: 40, none: 'None fired.', columns: [plain('Late', row => row.text), number('Callbacks', row => row.count), {title: 'Share', kind: 'bar', get: row => row.share}]},
	types: {rows: 10, none: 'No type.', columns: [foreign('Type', row => row[0]), foreign('First', row => row[2] ?? '–'), number('Tokens', row => row[3]), number('Version', row => row[4]),
		number('Ties', row => row[5] === undefined ? null : row[5] - 1), number('Accounts', row => row[1]),
		number('Changes', row => CHANGED > CHANGES.length ? null : changes_of.get(row[0]) ?? 0)]},
	changes: {rows: 10, none: 'Never.', columns: [moment('At', row => row[0]), foreign('Type', row => row[1]), foreign('From', row => row[2] ?? 'nobody'), number('Tokens', row => row[3]),
		foreign('To', row => row[4] ?? 'nobody'), number('Tokens', row => row[5])]},
	rejects: {rows: 10, none: 'None.', columns: [foreign('Reason', row => row[1], LONGEST_TEXT), plain('Kind', row => row[0]), number('Records', row => row[2])]},
	examples: {rows: 10, none: 'None.', columns: [foreign('Reason', row => row[2], LONGEST_TEXT), number('Offset', row => row[0]), moment('At', row => row[1]),
		foreign('Record', row => (row[4] === 'base64' ? 'base64: ' : '') + row[3].replace(/[\t\n\r ]+/g, ' '), LONGEST_TEXT)]},
};

const PAGES = {}; // of each table all rows, and which is shown first

function pages_make(name) {
	const {rows} = TABLES[name], step = by => () => {
		PAGES[name].at = Math.min(Math.max(0, PAGES[name].at + by * rows), Math.floor((PAGES[name].all.length - 1) / rows) * rows);
		pages_fill(name);
	};
	const pager = make('div', {className: 'pager'}, ...[['Previous', -1], ['Next', 1]].map(([text, by]) => {
		const button = make('button', {type: 'button', textContent: text, ariaLabel: `${text} rows: ${$(name).getAttribute('aria-label') ?? name}`});
		button.addEventListener('click', step(by));
		return button;
	}), make('span'));
	table_make(name);
	$(name).nextElementSibling.after(pager);
	PAGES[name] = {all: [], at: 0, pager};
}

function pages_fill(name) {
	const {all, at, pager} = PAGES[name], {rows} = TABLES[name];
	table_fill(name, all.slice(at, at + rows));
	pager.hidden = all.length <= rows;
	put(pager.lastChild, `${count(at + 1)} to ${count(Math.min(at + rows, all.length))} of ${count(all.length)}`);
	[pager.children[0].disabled, pager.children[1].disabled] = [at === 0, at + rows >= all.length];
}

function pages_show(name, all) {
	Object.assign(PAGES[name], {all, at: 0});
	pages_fill(name);
}

// Lateness by steps of 1, 2, 5, those between the first and the last that has any.
function late_rows() {
	const all = new Map(rows_of('lateness')), bounds = [0, ...Array.from({length: 36}, (unused, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3))];
	const has = bounds.map((us, i) => all.has(us) ? i : -1).filter(i => i >= 0);
	return bounds.map((us, i) => ({
		text: us === 0 ? 'on time' : `${bound(us)} to ${i + 1 < bounds.length ? bound(bounds[i + 1]) : 'any'}`, count: all.get(us) ?? 0, share: (all.get(us) ?? 0) / (RUN.fired || 1),
	})).slice(has[0] ?? 0, has.length ? has.at(-1) + 1 : 0);
}

// --- the whole -------------------------------------------------------------------------

const FIGURES = [
	['Records read', RUN.read, ['indexed', 'stale', 'duplicate', 'conflict', 'skipped', 'rejected'].map(name => [name, count(RUN[name])])],
	['Callbacks fired', RUN.fired, [...['cancelled', 'failed', 'pending'].map(name => [name, count(RUN[name])]), ['no callback', count(RUN.withoutCallback)]]],
	['Accounts', RUN.accounts, [['versions', count(RUN.versions)], ['types', count(TYPES.length)], ['first-place changes', count(CHANGED)]]],
	['Median lateness', RUN.p50, [['90 %', RUN.p90], ['99 %', RUN.p99], ['at most', RUN.most]].map(([name, us]) => [name, us === null ? '–' : bound(us)])],
	['Length', RUN.length, [['input', RUN.broken ? 'broken off' : RUN.complete ? 'read to its end' : 'not read to its end'], ['clock', RUN.clock ?? '–'], ['arrival', RUN.arrival ?? '–'],
		['seed', RUN.seed ?? '–'], ['shards', count(RUN.shards)]]],
];

function figures_fill() {
	list_fill($('figures'), FIGURES, () => make('li', {className: 'card'}, make('dl')), (card, [name, value, rest]) => {
		const large = name === 'Length' ? instant(value) : name === 'Median lateness' ? value === null ? '–' : bound(value) : count(value);
		list_fill(card.firstChild, [[name, large], ...rest], () => make('div', {}, make('dt'), make('dd')), (pair, [term, text]) => {
			put(pair.firstChild, term);
			put(pair.lastChild, text, LONGEST_TEXT);
		});
	});
}

function texts_fill() {
	document.title = 'acctflow report';
	put($('when'), `Made at ${RUN.made.replace('T', ' ').replace('Z', '')} UTC`);
	put($('source'), RUN.source, LONGEST_TEXT);
	put($('density-text'), `The versions of each account: a row is ${RUN.accounts > PARTS ? `${count(Math.ceil(RUN.accounts / PARTS))} accounts` : 'an account'}, in the order `
		+ `in which they came, a column ${duration(RUN.bin / 1000)}; the darker, the more versions, at most ${count(DENSEST)}. Drag over a time to see it below.`, 1000);
	put($('changes-text'), `An account is what its highest version until then says; of equal ones the first by its id is first. ${CHANGED > CHANGES.length ?
		`The first ${count(CHANGES.length)} of ${count(CHANGED)} changes.` : ''}`, 1000);
	put($('foot'), `Times count from the start of the run, ${RUN.start.replace('T', ' ').replace('Z', '')} UTC. Made by acctflow report; the file needs no network.`, 1000);
}

function sizes_fit() {
	for (const account of accounts) delete account.label;
	lanes_lay();
	key_draw();
	rates_draw();
	draw();
}

colours_read();
texts_fill();
figures_fill();
Object.keys(TABLES).forEach(pages_make);
pages_show('rates', RATES);
pages_show('late', late_rows());
pages_show('types', TYPES);
pages_show('changes', CHANGES);
pages_show('rejects', REJECTS);
pages_show('examples', REJECTS.flatMap(row => row[3]));
$('first').hidden = !REJECTS.length;
rates_make();
lanes_listen();
density_listen();
lanes_choose();
account_choose(lanes.chosen);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
	colours_read();
	sizes_fit();
});
new ResizeObserver(sizes_fit).observe($('main'));
sizes_fit();
$('cut').remove();
