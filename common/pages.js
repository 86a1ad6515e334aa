// What the pages of statusd and of `writer report` share: text, figures and tables. The text was written by strangers: it only
// ever becomes text nodes (`put`), with characters that are invisible or reverse the text spelt out. A page defines TABLES.
'use strict';

const LONGEST = 72; // characters of an id that are shown; of a longer one its head and tail
const LONGEST_TEXT = 240; // of a reason, a message, a record
const ROWS = 8; // of a table that may be long

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

// Whole numbers with commas, exact also as strings of digits; other text stays as it is, and -1 is unknown.
function count(value) {
	if (value === null || value === undefined || value < 0) return '–';
	if (typeof value === 'string') return /^\d{1,40}$/.test(value) ? integers.format(BigInt(value)) : value;
	return Number.isInteger(value) || Math.abs(value) >= 100 ? integers.format(Math.round(value)) : decimals.format(value);
}

function duration(seconds) {
	if (!Number.isFinite(seconds) || seconds < 0) return '–';
	const size = Math.abs(seconds);
	if (size === 0) return '0 s';
	if (size < 0.001) return `${decimals.format(seconds * 1e6)} µs`;
	if (size < 1) return `${decimals.format(seconds * 1e3)} ms`;
	if (size < 120) return `${decimals.format(seconds)} s`;
	for (const [unit, length] of [['min', 60], ['h', 3600], ['d', 86400]]) {
		if (size < length * 120 || unit === 'd') return `${count(Math.floor(seconds / length))} ${unit}`;
	}
}

// --- tables ------------------------------------------------------------------------

const number = (title, get) => ({title, get: row => count(get(row)), kind: 'number'});
const foreign = (title, get, longest) => ({title, get, longest, kind: 'foreign'});
const plain = (title, get) => ({title, get, kind: ''});

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
	table.after(make('p', {className: 'none', hidden: true}));
	table.hidden = true;
}

function table_row(columns) {
	const row = make('tr');
	row.setAttribute('role', 'row');
	columns.forEach((column, i) => {
		const cell = i ? make('td', {className: column.kind}) : make('th', {scope: 'row', className: column.kind});
		cell.setAttribute('role', i ? 'cell' : 'rowheader');
		cell.dataset.title = column.title;
		const inside = column.kind === 'bar' ? make('div', {className: 'meter'}, make('div')) : make(column.tag ?? 'span');
		if (column.kind === 'bar') {
			inside.setAttribute('role', 'meter');
			inside.setAttribute('aria-label', column.title);
		}
		cell.append(inside);
		row.append(cell);
	});
	return row;
}

// Browsers disagree about how a <meter> is drawn.
function bar_fill(meter, share) {
	meter.setAttribute('aria-valuenow', Math.round(100 * share));
	meter.firstChild.style.width = `${100 * share}%`;
}

function table_fill(name, all, now) {
	const table = $(name), body = table.tBodies[0], {columns} = TABLES[name], rows = all.slice(0, TABLES[name].rows ?? ROWS);
	table.nextElementSibling.hidden = all.length === rows.length;
	put(table.nextElementSibling, `and ${all.length - rows.length} more`);
	table.hidden = rows.length === 0;
	table.previousElementSibling.hidden = rows.length > 0;
	while (body.rows.length > rows.length) body.deleteRow(-1);
	while (body.rows.length < rows.length) body.append(table_row(columns));
	rows.forEach((row, i) => columns.forEach((column, j) => {
		const inside = body.rows[i].cells[j].firstChild, value = column.get(row, now);
		if (column.kind === 'bar') bar_fill(inside, value);
		else put(inside, value, column.longest);
		if (column.href) Object.assign(inside, {href: column.href(row), rel: 'noopener'});
	}));
}

// list_fill(list, items, make, fill): as many elements as items, each filled with its own.
function list_fill(list, items, make_one, fill) {
	while (list.children.length > items.length) list.lastChild.remove();
	while (list.children.length < items.length) list.append(make_one());
	items.forEach((item, i) => fill(list.children[i], item));
}
