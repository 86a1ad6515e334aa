// The page's looks, on an answer with every kind of harmful text: light and dark, wide and on a phone; what a keyboard
// reaches, what axe finds, that no text acts, hides, or leaves its place.
import {open, close, until, verdict, rows, axe, assert} from './browser.mjs';

const [url] = process.argv.slice(2);
const now = Date.now(), at = ago => (now - ago * 1000) * 1000, iso = ago => new Date(now - ago * 1000).toISOString();
const script = '<script>alert(1)</script><img src=x onerror=alert(2)>';
const bidi = '\u202egnirts\u2066\u200b\u3164\u0007\ud800';
const long = 'x'.repeat(100) + 'é'.repeat(77) + 'w'; // 255 bytes
const wave = high => Array.from({length: 600}, (unused, i) => i < 60 ? -1 : Math.round(high * (1 + Math.sin(i / 40))));
const total = perSecond => Array.from({length: 600}, (unused, i) => i < 60 ? -1 : Math.round(perSecond * i * (1 + i / 600)));
const histogram = [[100, 0], [200, 50], [500, 48], [1000, 2], [0, 0]];
const pipeline = (source, shard, states) => ({
	source, shard, progress: {reading: true, emitted: 20, bytes: 700, size: 1000, rate: 12.4, left: 200}, lagRecords: 1, lagSeconds: 0.25,
	overdue: 0, programs: ['reader', 'writer', 'timerd', 'ack'].map((name, i) => ({
		name, state: states[i], pid: states[i] === 'stopped' ? 0 : 4000000 + i, startedAt: at(90),
		tickAt: at(states[i] === 'stalled' ? 30 : 0),
	})),
});
const answer = {
	version: '0.1.0', time: at(0), ready: false, running: true, ending: false, reasons: [`no ${script}`, bidi, 'x'.repeat(5000)],
	database: {reachable: false, schema: 1, answeredAt: at(1)},
	pipelines: [pipeline(script, '0/2', ['running', 'stopped', 'stalled', 'running']),
		pipeline(bidi, '1/2', ['running', 'stopped', 'running', 'running'])],
	progress: {reading: true, emitted: 20, bytes: 700, size: 1000, rate: 12.4, left: 200},
	totals: {
		read: 20, indexed: 10, stale: 1, duplicate: 2, conflict: 3, skipped: 0, rejected: 4, fired: 5, cancelled: 2, pending: 3,
		retries: 0, restarts: 1,
	},
	sources: [{
		name: long, read: 20, indexed: 10, stale: 1, duplicate: 2, conflict: 3, skipped: 0, rejected: 4,
		committedOffset: 19, deliveredOffset: null, updatedAt: iso(100_000),
	}],
	series: {
		read: total(9000), indexed: total(7000), fired: total(20), rejected: total(1), lag: wave(100), pending: wave(1e9),
		overdue: wave(1), latenessSum: total(3), latenessCount: total(20),
	},
	histograms: {batch: histogram, commit: histogram, emitted: histogram, lateness: histogram},
	pendingByDue: [0, 1, 10, 60, 600, 3600, 86400, null].map((seconds, i) => ({seconds, count: [3, 9, 0, 0, 0, 0, 0, 0][i]})),
	richest: [{accountType: bidi, id: script, tokens: '18446744073709551615', version: 1},
		{accountType: 'a', id: long, tokens: script, version: 2}],
	rejects: Array.from({length: 30}, (unused, i) => ({source: bidi, offset: i, reason: script, count: 900 - i, at: iso(3), raw: '"'.repeat(200)})),
	restarts: [{program: 'writer', cause: 'signal 9', at: at(50)}], spoolBytes: 1, diskFreeBytes: 5e9,
};

for (const width of [1280, 360]) {
	for (const dark of [false, true]) {
		const {page, end} = await open(url, {width, dark, answer: () => answer});
		await verdict(page, 'bad', script);

		// Text is text.
		assert.equal(await page.locator('main script, main img, main [onerror], main [style*=url]').count(), 0);
		const [first, second] = await rows(page, 'richest');
		assert.deepEqual(first, ['U+202EgnirtsU+2066U+200BU+3164U+0007U+D800', script, '18,446,744,073,709,551,615', '1']);
		assert.match(second[1], /^x{48}… 110 more …é{19}w$/);
		assert.equal(second[2], script);
		assert.equal(await page.evaluate(() => /[\u202a-\u202e\u2066-\u2069\u0007\u200b\u3164]/.test(document.body.textContent)), false);

		// The figures are where they belong.
		assert.deepEqual((await rows(page, 'due'))[0].slice(0, 2), ['overdue', '3']);
		const bars = await page.$$eval('#due .meter', all => all.slice(0, 3).map(bar => {
			const outer = bar.getBoundingClientRect(), inner = bar.firstChild.getBoundingClientRect();
			return [Math.abs(outer.height - inner.height) < 1 && Math.abs(outer.top - inner.top) < 1, Math.round(100 * inner.width / outer.width)];
		}));
		assert.deepEqual(bars, [[true, 25], [true, 75], [true, 0]], 'bars fill their tracks');
		assert.match(await page.locator('#reading').textContent(), /2 sources.*70 % read, 12 \/s, 3 min left/s);
		assert.deepEqual((await rows(page, 'pipelines'))[0].slice(1, 5), ['0/2', 'writer stopped, timerd stalled', '70 %', '3 min']);
		const rejects = await rows(page, 'rejects');
		assert.equal(rejects.length, 8);
		assert.equal(rejects[0][1], '900');
		assert.equal(await page.locator('#rejects + p').textContent(), 'and 22 more');
		assert.deepEqual(await page.$$eval('#stages > li', all => all.map(card => card.dataset.state)),
			['good', 'idle', 'bad', 'good', 'bad', 'good']);
		assert.match(await page.locator('#stages > li').nth(2).textContent(), /stalled for 30 s/);
		const captions = await page.$$eval('#plots figcaption', all => all.map(caption => caption.textContent));
		assert.equal(captions.length, 4);
		assert.match(captions[0], /read 26,[\d,]+ \/s, at most 26,[\d,]+ \/s/);
		assert.equal(await page.$$eval('#plots canvas', all => all.filter(canvas => canvas.getContext('2d')
			.getImageData(0, 0, canvas.width, canvas.height).data.some(byte => byte)).length), 4, 'plots that show something');

		// One cursor: over one plot, all captions are of that moment; a restart is marked in each.
		if (width > 1000) {
			await page.locator('.plot').nth(1).scrollIntoViewIfNeeded();
			const box = await page.locator('.plot').nth(1).boundingBox();
			await page.mouse.move(box.x + box.width - 60, box.y + 40);
			await page.mouse.move(box.x + box.width - 62, box.y + 40);
			await page.waitForFunction(() => Array.from(document.querySelectorAll('#plots figcaption li'))
				.every(line => / at \d\d:\d\d:\d\d$/.test(line.textContent)));
			await page.mouse.move(0, 0);
		}

		// It fits: no sideways scroll, nothing beyond the edge, and a phone's page has an end.
		assert.ok(await page.evaluate(() => document.documentElement.scrollHeight) < (width > 1000 ? 3000 : 5500), 'the page is short');
		const sizes = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
		assert.ok(sizes[0] <= sizes[1], `page is ${sizes[0]} wide in ${sizes[1]}`);
		const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
		assert.equal(back[0] < 128, dark, `background ${back}`);

		// One thing is read aloud when it changes, and only that.
		assert.deepEqual(await page.$$eval('[role=status], [role=alert], [aria-live]', all => all.map(element => element.id)), ['sentence']);

		// A keyboard reaches all that can be used, and one sees where it is.
		const reached = [];
		for (let i = 0; i < 6; i++) {
			await page.keyboard.press('Tab');
			reached.push(await page.evaluate(() => {
				const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
				return [document.activeElement.textContent, outlineStyle !== 'none' && outlineWidth !== '0px'];
			}));
		}
		assert.deepEqual(reached, ['Skip to the figures', 'Pause', '/metrics', '/healthz', '/readyz', '/api/status']
			.map(name => [name, true]));

		assert.deepEqual(await axe(page), []);
		await end();
	}
}

// A partition of Kafka: its program is the first stage, and only where there is one.
{
	const kafka = pid => ({name: 'kafka-reader', state: 'running', pid, startedAt: at(90), tickAt: at(0), behind: 1234});
	const pipelines = answer.pipelines.map((row, i) => ({...row, programs: i ? [kafka(7), ...row.programs] : row.programs}));
	const {page, end} = await open(url, {answer: () => ({...answer, pipelines})});
	await verdict(page, 'bad');
	assert.deepEqual(await page.$$eval('#stages h3', all => all.map(title => title.textContent)),
		['kafka-reader', 'reader', 'writer', 'timerd', 'ack', 'Postgres', 'Disk']);
	assert.deepEqual(await page.$$eval('#stages > li', all => all.map(card => card.dataset.state)),
		['good', 'good', 'idle', 'bad', 'good', 'bad', 'good']);
	assert.match(await page.locator('#stages > li').first().textContent(), /behind1,234up for.*process7$/);
	assert.match(await page.locator('#stages > li').nth(1).textContent(), /process4000000, 4000000$/);
	await end();
}

// A receiver of callbacks, and a collector of traces: so are deliver and tracer.
{
	const more = [['deliver', {held: 5}], ['tracer', {exported: 1_234_567, dropped: 89}]].map(([name, figures], i) =>
		({name, state: 'running', pid: 8 + i, startedAt: at(90), tickAt: at(0), ...figures}));
	const pipelines = answer.pipelines.map(row => ({...row, programs: [...row.programs.slice(0, 3), ...more, ...row.programs.slice(3)]}));
	const {page, end} = await open(url, {answer: () => ({...answer, pipelines})});
	await verdict(page, 'bad');
	assert.deepEqual(await page.$$eval('#stages h3', all => all.map(title => title.textContent)),
		['reader', 'writer', 'timerd', 'deliver', 'tracer', 'ack', 'Postgres', 'Disk']);
	assert.match(await page.locator('#stages > li').nth(3).textContent(), /held10delivery/);
	assert.match(await page.locator('#stages > li').nth(4).textContent(), /exported2,469,134dropped178up for.*process9, 9$/);
	await end();
}

// What does not change is not touched, so that a screen reader keeps its place; what is paused does not change at all.
{
	let polls = 0;
	const {page, end} = await open(url, {clock: true, answer: () => ({...answer, totals: {...answer.totals, read: ++polls}})});
	await verdict(page, 'bad');
	const until = n => page.waitForFunction(n => Number(document.querySelector('#totals td').textContent) >= n, n);
	await page.evaluate(() => {
		window.touched = new Set();
		new MutationObserver(all => all.forEach(({target}) => window.touched.add(target.closest('section').id ||
			target.closest('table')?.id))).observe(document.querySelector('main'), {childList: true, subtree: true, characterData: true});
		for (const table of document.querySelectorAll('table')) table.dataset.kept = 'yes';
	});
	await until(polls + 2);
	assert.deepEqual(await page.evaluate(() => [...window.touched].filter(Boolean)), ['totals']);
	await page.getByRole('button', {name: 'Pause'}).press('Enter');
	assert.equal(await page.getByRole('button', {name: 'Pause'}).getAttribute('aria-pressed'), 'true');
	const paused = await page.locator('#totals').textContent();
	const before = polls;
	await page.clock.fastForward(10_000);
	await page.clock.fastForward(10_000);
	assert.equal(await page.locator('#totals').textContent(), paused);
	assert.equal(polls, before);
	await page.getByRole('button', {name: 'Pause'}).press('Enter');
	await until(polls + 1);
	await end();
}

// Answers that are none: said, and over when a good one comes.
{
	let now = answer;
	const {page, end} = await open(url, {answer: () => now});
	await verdict(page, 'bad', script);
	now = 500;
	await verdict(page, 'gone', 'HTTP status 500');
	assert.match(await page.locator('#sentence').textContent(), /^No answer from statusd since \d\d:\d\d:\d\d UTC$/);
	now = {};
	await verdict(page, 'bad', 'Not ready');
	now = {...answer, ready: true, reasons: []};
	await verdict(page, 'good', 'Ready');
	now = {...now, running: false};
	await verdict(page, 'idle', 'Ready, no run is on');
	// statusd ends with the run: nothing is wrong.
	now = {...now, ending: true};
	await until(page, 'the last answer', () => true);
	await page.waitForTimeout(1500);
	now = 500;
	await verdict(page, 'idle', 'Run ended at ');
	await verdict(page, 'idle', '3 callbacks are pending');
	now = {...answer, ready: true, reasons: [], running: false, ending: true, totals: {...answer.totals, pending: 0}};
	await page.waitForTimeout(1500);
	now = 500;
	await verdict(page, 'idle', 'Run finished at ');
	await end(/status of 500/);
}

// Traces are linked where they can be: an id is digits, and a link is a web address.
{
	const id = '0af7651916cd43dd8448eb211c80319c', trace = (traceId, histogram = 'emitted') => ({histogram, value: 2300, at: at(1), traceId});
	const traces = [trace(id), trace(id, 'lateness'), trace(script), trace(`${id}"`), trace(id.toUpperCase())];
	let now = {...answer, traceUrl: 'https://traces.example/trace/{traceId}?x={traceId}', traces};
	const {page, end} = await open(url, {answer: () => now});
	await until(page, 'the links', () => document.querySelectorAll('#traces a').length === 2);
	assert.deepEqual(await page.$$eval('#traces a', all => all.map(link => [link.textContent, link.getAttribute('href'), link.rel])),
		Array(2).fill([id, `https://traces.example/trace/${id}?x=${id}`, 'noopener']));
	assert.deepEqual((await rows(page, 'traces'))[0].slice(0, 2), ['Arrival to emitted', '2.3 ms']);
	await axe(page);
	for (const traceUrl of [undefined, 'javascript:alert("{traceId}")', ' https://traces.example/{traceId}']) {
		now = {...answer, traceUrl, traces};
		await until(page, 'no links', () => document.querySelectorAll('#traces a').length === 0 && document.querySelector('#traces-section').hidden);
		now = {...answer, traceUrl: 'http://traces.example/{traceId}', traces};
		await until(page, 'links again', () => document.querySelectorAll('#traces a').length === 2);
	}
	await end();
}

await close();
