// The page's looks, on an answer of every kind of text that could do harm: light and dark, wide and on a phone; what a
// keyboard reaches, what axe finds, that no text acts, hides, or leaves its place.
import {open, close, verdict, rows, axe, assert} from './browser.mjs';

const [url] = process.argv.slice(2);
const now = Date.now(), at = ago => new Date(now - ago * 1000).toISOString();
const script = '<script>alert(1)</script><img src=x onerror=alert(2)>';
const bidi = '\u202egnirts\u2066\u200b\u3164\u0007\ud800';
const long = 'x'.repeat(100) + 'é'.repeat(77) + 'w'; // 255 bytes
const wave = high => Array.from({length: 600}, (unused, i) => i < 60 ? null : Math.round(high * (1 + Math.sin(i / 40))));
const answer = {
	version: '0.1.0', time: at(0), ready: false, reasons: [`no ${script}`, bidi, 'x'.repeat(5000)],
	database: {reachable: false, schema: 1, error: script, askedAt: at(1)},
	programs: ['reader', 'writer', 'timerd', 'ack'].map((name, i) => ({
		name, state: ['running', 'stopped', 'stalled', 'running'][i], pid: i === 1 ? null : 4000000 + i, startedAt: at(90), tickAt: at(i === 2 ? 30 : 0), restarts: 1,
	})),
	totals: {
		read: 20, indexed: 10, stale: 1, duplicate: 2, conflict: 3, rejected: 4, fired: 5, cancelled: 2, pending: 3, retries: 0,
		restarts: 1,
	},
	sources: [{
		name: long, read: 20, indexed: 10, stale: 1, duplicate: 2, conflict: 3, rejected: 4, committedOffset: 19,
		deliveredOffset: null, updatedAt: at(100_000),
	}],
	lag: {records: 1, seconds: 0.25},
	latency: {commit: {p50: 0.001, p99: 0.002}, arrivalToTold: {p50: null, p99: null}, lateness: {p50: 0.1, p99: 90}},
	series: {
		step: 1, end: at(0), read: wave(9000), indexed: wave(7000), fired: wave(20), rejected: wave(0), lag: wave(100),
		pending: wave(1e9), latenessP99: wave(3),
	},
	pendingByDue: [0, 1, 10, 60, 600, 3600, 86400, null].map((seconds, i) => ({seconds, count: i ? 0 : 3})),
	richest: [{accountType: bidi, id: script, tokens: '18446744073709551615', version: 1},
		{accountType: 'a', id: long, tokens: script, version: 2}],
	events: [script, bidi, long].map((id, i) => ({
		event: 'rejected', reason: script, id, version: i, accountType: long, at: at(i), source: script, offset: i,
	})),
	rejects: [{source: bidi, offset: 3, reason: script, at: at(3), raw: '"'.repeat(200)}],
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
		assert.deepEqual(await page.$$eval('#stages > li', all => all.map(card => card.dataset.state)),
			['good', 'idle', 'bad', 'good', 'bad', 'good']);
		assert.match(await page.locator('#stages > li').nth(2).textContent(), /stalled for 30 s/);
		const captions = await page.$$eval('#plots figcaption', all => all.map(caption => caption.textContent));
		assert.equal(captions.length, 4);
		assert.match(captions[0], /read [\d,]+ \/s, at most 18,000 \/s/);
		assert.equal(await page.$$eval('#plots canvas', all => all.filter(canvas => canvas.getContext('2d')
			.getImageData(0, 0, canvas.width, canvas.height).data.some(byte => byte)).length), 4, 'plots that show something');

		// It fits: no sideways scroll, nothing beyond the edge.
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
	await end(/status of 500/);
}

await close();
