// Asks /api/status once per second and shows the answer. The text was written by strangers: it only ever becomes text nodes
// (`put`), with characters that are invisible or reverse the text spelt out. Elements are changed in place and only when
// they differ, so that a screen reader keeps its place; the one live region is the verdict's sentence.
'use strict';

const PERIOD = 1000; // ms between an answer and the next question
const PATIENCE = 5000; // ms until a question counts as not answered
const SHORTEST = 60; // seconds that a plot shows where fewer are known
const SMOOTH = 6; // seconds that a rate is the mean of

// For JSON.parse: versions go beyond what a double holds; such an integer stays its digits.
function exact(key, value, context) {
	return typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER && /^\d+$/.test(context?.source ?? '') ?
		context.source : value;
}

function bytes(value) {
	if (!Number.isFinite(value)) return '–';
	let unit = 0;
	for (; value >= 1024 && unit < 4; unit++) value /= 1024;
	return `${decimals.format(value)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

// Times are microseconds since 1970, or RFC 3339 where the database gives them.
function moment(at) {
	return typeof at === 'number' ? at / 1000 : Date.parse(at);
}

// The time of day; with the date if that is not today's.
function clock(at, now) {
	const time = moment(at);
	if (!(time > 0)) return '–';
	const text = new Date(time).toISOString(), today = new Date(moment(now)).toISOString();
	return (text.slice(0, 10) === today.slice(0, 10) ? '' : text.slice(0, 10) + ' ') + text.slice(11, 19);
}

// Seconds between two times of the answer, so that this machine's clock does not matter.
function since(at, now) {
	return Math.max(0, (moment(now) - moment(at)) / 1000);
}

// --- tables ------------------------------------------------------------------------

const time = (title, get) => ({title, get: (row, now) => clock(get(row), now), kind: 'time'});

function programs_text(row) {
	const odd = row.programs.filter(program => program.state !== 'running');
	return odd.length === 0 ? 'running' : odd.length === row.programs.length && odd.every(program => program.state === 'stopped') ?
		'stopped' : odd.map(program => `${program.name} ${program.state}`).join(', ');
}

function share_text(progress) {
	return !progress.reading ? '–' : progress.size > 0 ?
		`${Math.min(100, Math.floor(100 * progress.bytes / progress.size))} %` : `${count(progress.emitted)} records`;
}

const TABLES = {
	due: {
		none: 'Nothing is pending.',
		columns: [plain('Due', row => row.label), number('Callbacks', row => row.count),
			{title: 'Share', kind: 'bar', get: row => row.share}],
	},
	totals: {
		rows: 20,
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
		columns: [foreign('Reason', row => row.reason, LONGEST_TEXT), number('Records', row => row.count),
			time('Newest', row => row.at), foreign('Example', row => (row.rawEncoding === 'base64' ? 'base64: ' : '') + row.raw,
				LONGEST_TEXT), foreign('Source', row => row.source), number('Offset', row => row.offset)],
	},
	traces: {
		none: 'None.',
		columns: [plain('Of', row => row.histogram === 'emitted' ? 'Arrival to emitted' : 'Lateness of a callback'),
			plain('Took', row => duration(row.value / 1e6)), time('At', row => row.at),
			{title: 'Trace', get: row => row.traceId, kind: 'foreign', tag: 'a', href: row => row.href}],
	},
	pipelines: {
		none: 'None.',
		columns: [foreign('Source', row => row.source), plain('Shard', row => row.shard), plain('Programs', programs_text),
			plain('Read', row => share_text(row.progress)), plain('Left', row => duration(row.progress.left)),
			number('Lag', row => row.lagRecords), plain('Waiting', row => row.lagRecords < 0 ? '–' : duration(row.lagSeconds))],
	},
	fleet: {
		none: 'No machine.',
		columns: [foreign('Machine', row => row.owner ?? '–'), foreign('Source', row => row.source), plain('Shard', row => row.shard ?? '–'),
			number('Token', row => row.token), time('Until', row => row.until), number('Committed', row => row.committedOffset),
			number('Delivered', row => row.deliveredOffset), number('Lag', row => row.lag)],
	},
	sources: {
		none: 'None yet.',
		columns: [foreign('Source', row => row.name), number('Read', row => row.read), number('Indexed', row => row.indexed),
			number('Stale', row => row.stale), number('Duplicate', row => row.duplicate),
			number('Conflict', row => row.conflict), number('Skipped', row => row.skipped),
			number('Rejected', row => row.rejected), number('Committed', row => row.committedOffset),
			number('Delivered', row => row.deliveredOffset), time('Updated', row => row.updatedAt)],
	},
};

// --- stages ------------------------------------------------------------------------

// A total's growth per second at each moment, as the mean of some seconds: totals of the database come every other second.
function rates(totals = []) {
	return totals.map((value, i) => {
		const before = totals[i - SMOOTH];
		return i < SMOOTH || before < 0 || value < before ? null : (value - before) / SMOOTH;
	});
}

function rate(totals) {
	const last = rates(totals).at(-1);
	return Number.isFinite(last) ? `${count(last)} /s` : '–';
}

// A quantile of a histogram, [[upper bound in µs, count], …], in seconds. Within a bucket values count as evenly spread.
function quantile(histogram = [], share = 0.99) {
	const all = histogram.reduce((sum, [, n]) => sum + n, 0);
	let seen = 0, low = 0;
	for (const [bound, n] of histogram) {
		if (n && seen + n >= share * all) return (bound === 0 ? low : low + (bound - low) * (share * all - seen) / n) / 1e6;
		seen += n;
		low = bound;
	}
	return NaN;
}

// What the histograms saw in the last minute or two, as far as this page has been open.
const seen = []; // [time, histograms], one per half minute
function recent(answer) {
	const now = answer.histograms ?? {};
	if (!seen.length || since(seen.at(-1)[0], answer.time) > 30) seen.push([answer.time, now]);
	if (seen.length > 4) seen.shift();
	const before = seen.length > 1 ? seen[0][1] : {};
	return Object.fromEntries(Object.entries(now).map(([name, buckets]) => [name,
		buckets.map(([bound, n], i) => [bound, Math.max(0, n - (before[name]?.[i]?.[1] ?? 0))])]));
}

// The state of a program in all pipelines: stalled if one is, running if any is.
function stage_state(all) {
	return ['stalled', 'running'].find(state => all.some(program => program.state === state)) ?? 'stopped';
}

// A stage's card: its name, its state, its first figure large, the others below.
function stages_of(answer) {
	const {series = {}, totals = {}, database = {}, pipelines = []} = answer, histograms = recent(answer);
	const named = name => pipelines.flatMap(pipeline => pipeline.programs.filter(program => program.name === name));
	const kafka = named('kafka-reader'), deliver = named('deliver'), tracer = named('tracer');
	const sum = (programs, figure) => count(programs.reduce((all, program) => all + program[figure], 0));
	const lag = Math.max(-1, ...pipelines.map(pipeline => pipeline.lagSeconds)), restarts = answer.restarts ?? [];
	const own = {
		...kafka.length > 0 && {'kafka-reader': [['behind', sum(kafka, 'behind')]]},
		reader: [['read', rate(series.read)]],
		writer: [['indexed', rate(series.indexed)], ['lag', `${count(series.lag?.at(-1))} records, ${duration(lag)}`],
			['commit, p99', duration(quantile(histograms.commit))]],
		timerd: [['fired', rate(series.fired)], ['lateness, p99', duration(quantile(histograms.lateness))],
			['pending', count(totals.pending)]],
		...deliver.length > 0 && {deliver: [['held', sum(deliver, 'held')],
			['delivery, p99', duration(quantile(histograms.delivery))], ['failed', count(totals.failed)]]},
		...tracer.length > 0 && {tracer: [['exported', sum(tracer, 'exported')], ['dropped', sum(tracer, 'dropped')]]},
		ack: [['emitted in, p50', duration(quantile(histograms.emitted, 0.5))], ['p99', duration(quantile(histograms.emitted))]],
	};
	const stages = Object.keys(own).map(name => {
		const all = named(name), state = stage_state(all);
		const tick = Math.max(0, ...all.map(program => program.tickAt)), start = Math.max(0, ...all.map(program => program.startedAt));
		const stalled = all.filter(program => program.state === 'stalled').map(program => program.tickAt);
		const alive = all.filter(program => program.state !== 'stopped');
		return {
			name, good: state === 'running', idle: state === 'stopped',
			state: state === 'stalled' ? `stalled for ${duration(Math.floor(since(Math.min(...stalled), answer.time)))}` : state,
			figures: [...own[name], state === 'stopped' ? ['last seen', clock(tick, answer.time)] :
				['up for', duration(Math.floor(since(start, answer.time)))],
			['restarts', count(restarts.filter(restart => restart.program === name).length)],
			['process', alive.map(program => program.pid).join(', ') || '–']],
		};
	});
	stages.push({
		name: 'Postgres', state: database.reachable ? 'reachable' : 'not reachable', good: database.reachable,
		figures: [['retries', count(totals.retries)], ['schema', count(database.schema)],
			['answered', clock(database.answeredAt, answer.time)]], // why it is not reachable is among the reasons
	}, {
		name: 'Disk', state: '', good: !(answer.reasons ?? []).some(reason => /^the disk/.test(reason)),
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
const known = (values = []) => values.map(value => value < 0 ? null : value);
const PLOTS = [
	{title: 'Records per second', names: ['read', 'indexed', 'fired', 'rejected'], unit: perSecond, axis: count,
		get: series => ['read', 'indexed', 'fired', 'rejected'].map(name => rates(series[name]))},
	{title: 'Lag: records that are not committed yet', names: ['lag'], unit: count, get: series => [known(series.lag)]},
	{title: 'Mean lateness of callbacks', names: ['lateness'], unit: duration, get: series => [rates(series.latenessSum).map((sum, i) =>
		sum === null ? null : sum / (rates_at(series.latenessCount, i) || NaN))]},
	{title: 'Pending callbacks', names: ['pending'], unit: count, get: series => [known(series.pending)]},
];
const rates_at = (totals, i) => (totals[i] - totals[i - SMOOTH]) / SMOOTH;
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
	plot.lines = plot.names.map((name, line) => {
		const text = make('span');
		key.append(make('li', {className: `line line-${line}`}, make('span', {className: 'swatch'}), text));
		return text;
	});
	plot.graph = new Dygraph(canvas, [[new Date(), ...plot.names.map(() => null)]], {
		labels: ['time', ...plot.names], legend: 'never', interactionModel: {}, labelsUTC: true, strokeWidth: 1.5,
		fillGraph: plot.names.length === 1, fillAlpha: 0.12, xRangePad: 2, rightGap: 4, highlightCircleSize: 3,
		series: Object.fromEntries(plot.names.map((name, line) => [name, {strokePattern: PATTERNS[line]}])),
		axes: {
			x: {drawGrid: false, pixelsPerLabel: 80, axisLabelFormatter: at => new Date(at).toISOString().slice(11, 19)},
			y: {axisLabelWidth: 62, pixelsPerLabel: 28, axisLabelFormatter: plot.axis ?? plot.unit, valueRange: [0, null]},
		},
		highlightCallback: (event, x, points, row) => cursor(row, plot),
		unhighlightCallback: () => cursor(null, plot),
		underlayCallback: (canvas, area, graph) => {
			canvas.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--odd').trim();
			for (const at of restarts) {
				const x = graph.toDomXCoord(at);
				if (x >= area.x && x <= area.x + area.w) canvas.fillRect(Math.round(x), area.y, 1, area.h);
			}
		},
	});
	plot.row = null;
}

// One cursor over all plots.
let restarts = []; // when programs were restarted, marked in each plot
function cursor(row, from) {
	for (const plot of PLOTS) {
		plot.row = row;
		if (plot !== from && row === null) plot.graph.clearSelection();
		else if (plot !== from) plot.graph.setSelection(row);
		plot_caption(plot);
	}
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

function plot_fill(plot, series, now) {
	const end = moment(now) || Date.now(), step = 1000, // an answer that is none has no time
		 values = plot.get(series), size = Math.max(0, ...values.map(all => all.length));
	plot.data = Array.from({length: size}, (unused, i) => [new Date(end - (size - 1 - i) * step),
		...values.map(all => Number.isFinite(all[i]) ? all[i] : null)]);
	const most = plot.data.reduce((a, row) => Math.max(a, ...row.slice(1)), 0);
	plot.graph.updateOptions({
		file: plot.data.length ? plot.data : [[new Date(end), ...plot.names.map(() => null)]],
		dateWindow: [end - Math.max(size - 1, SHORTEST) * step, end],
		valueRange: [0, most > 0 ? most * 1.1 : 1],
	});
	plot_caption(plot);
}

// Canvas knows no CSS: the colours are read from there, again when light and dark change.
function plots_colour() {
	const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name).trim();
	for (const plot of PLOTS) {
		plot.graph.updateOptions({
			colors: plot.names.map((name, i) => colour(`--line-${i}`)),
			gridLineColor: colour('--grid'), axisLineColor: colour('--grid'),
		});
	}
}

// --- the whole ---------------------------------------------------------------------

const DUE = {0: 'overdue', 1: 'within 1 s', 10: '1 to 10 s', 60: '10 to 60 s', 600: '1 to 10 min', 3600: '10 to 60 min',
	86400: '1 to 24 h', null: 'later'};

// The last ones take longer to count and may be older, so no sum is promised.
const TOTALS = [['read', 'Read'], ['indexed', '= indexed'], ['stale', '+ stale'], ['duplicate', '+ duplicate'],
	['conflict', '+ conflict'], ['skipped', '+ skipped'], ['rejected', '+ rejected'], ['fired', 'Fired'],
	['failed', 'Failed'], ['cancelled', 'Cancelled'], ['pending', 'Pending'], ['restarts', 'Restarts']];

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

// The header: which source, how far, how long still.
function reading_show(answer) {
	const {progress = {}, pipelines = []} = answer, names = [...new Set(pipelines.map(pipeline => pipeline.source))];
	$('reading').hidden = names.length === 0;
	put($('source'), names.length === 1 ? names[0] : `${names.length} sources`);
	$('share').hidden = !(progress.size > 0);
	bar_fill($('share'), progress.size > 0 ? Math.min(1, progress.bytes / progress.size) : 0);
	put($('progress'), !progress.reading ? answer.running ? 'read to its end' : 'not being read' :
		[`${share_text(progress)} read`, ...progress.rate >= 0 ? [perSecond(Math.round(progress.rate))] : [],
			...progress.left >= 0 ? [`${duration(Math.round(progress.left))} left`] : []].join(', '));
}

function verdict_show(answer, reasons) {
	const {pending, read} = answer.totals ?? {};
	if (!answer.ready) verdict_put('bad', 'Not ready', '', reasons);
	else if (answer.running) verdict_put('good', 'Ready', '', []);
	else verdict_put('idle', 'Ready, no run is on', pending > 0 ? `${count(pending)} callbacks are pending.` : read > 0 ? 'Nothing is pending.' : '', []);
}

// Those that can be linked: no text but an id gets into the URL, and no URL but a web address into the page.
function traces_of({traceUrl, traces = []}) {
	if (!/^https?:\/\//.test(traceUrl ?? '')) return [];
	return traces.filter(trace => /^[0-9a-f]{32}$/.test(trace.traceId))
		.map(trace => ({...trace, href: traceUrl.replaceAll('{traceId}', trace.traceId)}));
}

function answer_show(answer) {
	const now = answer.time;
	restarts = (answer.restarts ?? []).map(restart => moment(restart.at));
	put($('version'), answer.version);
	put($('when'), `As of ${clock(now, now)} UTC`);
	reading_show(answer);
	verdict_show(answer, (answer.reasons ?? []).map(String));
	list_fill($('stages'), stages_of(answer), stage_make, stage_fill);
	for (const plot of PLOTS) plot_fill(plot, answer.series ?? {}, now);
	$('pipelines-section').hidden = (answer.pipelines ?? []).length < 2;
	$('fleet-section').hidden = !(answer.fleet ?? []).length;

	const traces = traces_of(answer);
	$('traces-section').hidden = !traces.length;
	table_fill('traces', traces, now);
	const due = answer.pendingByDue ?? [], all = due.reduce((sum, row) => sum + row.count, 0);
	table_fill('due', all ? due.map(row => ({
		label: DUE[row.seconds] ?? `within ${duration(row.seconds)}`, count: row.count, share: row.count / all,
	})) : [], now);
	const totals = answer.totals ?? {};
	table_fill('totals', TOTALS.map(([name, label]) => [label, totals[name]]), now);
	for (const name of ['pipelines', 'fleet', 'richest', 'restarts', 'rejects', 'sources']) table_fill(name, answer[name] ?? [], now);
}

// statusd ends with the run: after an answer that said so nothing is wrong.
function gone_show(why) {
	const time = last ? clock(last.answer.time, last.answer.time) : '';
	const age = last ? `${duration(Math.round((performance.now() - last.at) / 1000))} ago. All figures below are of then.` : '';
	const pending = last?.answer.totals?.pending;
	if (last?.answer.ending)
		verdict_put('idle', `Run ${pending > 0 || !last.answer.ready ? 'ended' : 'finished'} at ${time} UTC`,
			pending > 0 ? `${count(pending)} callbacks are pending; the same command goes on.` : 'Nothing is pending.', last.answer.reasons ?? []);
	else verdict_put('gone', `No answer from statusd${last ? ` since ${time} UTC` : ''}`, age, [why]);
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
