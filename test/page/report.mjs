// The file of `writer report`, opened as a file: light and dark, wide and on a phone. What is drawn, what a keyboard and a
// pointer do, that hostile text is text, and what axe finds.
import {open, close, until, rows, axe, assert} from './browser.mjs';

const [url, big] = process.argv.slice(2);
const text = (page, id) => page.locator(`#${id}`).textContent();
// The share of a canvas's pixels that are not its most frequent one.
const drawn = (page, selector) => page.$eval(selector, canvas => {
	const data = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer), all = new Map();
	for (const pixel of data) all.set(pixel, (all.get(pixel) ?? 0) + 1);
	return 1 - Math.max(...all.values()) / data.length;
});
// What is drawn of the lanes, as a number that changes with it.
const seen = page => page.evaluate(() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(() => resolve(
	document.querySelector('#lanes canvas').toDataURL().split('').reduce((sum, letter) => (31 * sum + letter.charCodeAt(0)) | 0, 7))))));

for (const width of [1280, 360]) {
	for (const dark of [false, true]) {
		const {page, end} = await open(url, {width, dark});
		await until(page, 'the page is made', () => !document.querySelector('#cut'));
		for (const selector of ['#density', '#lanes canvas', '#plot']) assert.ok(await drawn(page, selector) > 0.002, `${selector} shows something`);
		assert.match(await text(page, 'lanes-text'), /^Showing 3 of 3 accounts\. /);

		// The first account's versions, and the others by the keyboard.
		assert.match(await text(page, 'account'), /^ID1: 3 versions: 1 fired, 1 cancelled, 1 stale$/);
		assert.deepEqual((await rows(page, 'versions')).map(row => row.slice(0, 3)), [['v1', '550 ms', 'cancelled at 650 ms, was due at 950 ms'],
			['v3', '650 ms', 'fired at 1,050 ms'], ['v2', '700 ms', 'stale: it came after a newer one']]);
		await page.locator('#lanes').focus();
		await page.keyboard.press('End');
		assert.match(await text(page, 'account'), /^<\/script><script>alert\(1\)<\/script>: 1 version: 1 fired$/);
		assert.equal(await page.locator('main script, img, [onerror]').count(), 0);
		await page.keyboard.press('Home');
		assert.match(await text(page, 'account'), /^ID1: /);
		const before = await seen(page);
		await page.keyboard.press('+');
		const near = await seen(page);
		assert.notEqual(near, before, 'zoomed in');
		await page.keyboard.press('ArrowRight');
		assert.notEqual(await seen(page), near, 'moved');
		await page.keyboard.press('0');
		assert.equal(await seen(page), before, 'the whole run again');

		// By the pointer: what is where v3 is; an account is chosen.
		const box = await page.locator('#lanes canvas').boundingBox(), [first, second] = [0.5, 1.5].map(lane => box.y + 26 + lane * (width < 560 ? 56 : 40));
		for (let x = 0; x < box.width; x += 2) {
			await page.mouse.move(box.x + x, first + 8);
			if ((await text(page, 'tip')).startsWith('ID1 v3 at 650 ms: fired at 1,050 ms; 30 tokens')) break;
		}
		assert.match(await text(page, 'tip'), /^ID1 v3 /);
		await page.mouse.click(box.x + 40, second);
		assert.match(await text(page, 'account'), /^ID2: /);
		await page.mouse.move(box.x + box.width / 2, first);
		await page.mouse.down();
		await page.mouse.move(box.x + box.width / 2 - 50, first, {steps: 3});
		await page.mouse.up();
		await page.getByRole('button', {name: 'Whole run'}).click();

		// Filter and order.
		await page.locator('#filter').fill('alert');
		assert.match(await text(page, 'lanes-text'), /^Showing 1 of 3 /);
		await page.locator('#filter').fill('');
		await page.locator('#order').selectOption('id');
		await page.getByText('The accounts as a table').click();
		assert.deepEqual((await rows(page, 'accounts')).map(row => row[0]), ['</script><script>alert(1)</script>', 'ID1', 'ID2']);
		await page.locator('#accounts button').nth(1).click();
		assert.match(await text(page, 'account'), /^ID1: /);

		assert.deepEqual(await rows(page, 'changes'), [['550 ms', 'account', 'nobody', '–', 'ID1', '10'], ['800 ms', 'account', 'ID1', '30', 'ID2', '18,446,744,073,709,551,615'],
			['900 ms', '<img src=x onerror=alert(2)>', 'nobody', '–', '</script><script>alert(1)</script>', '1']]);
		assert.deepEqual((await rows(page, 'late')).map(row => row.slice(0, 2)), [['on time', '3']]);
		assert.match((await rows(page, 'rejects'))[0].join(), /^version: missing,record,1$/);

		const sizes = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
		assert.ok(sizes[0] <= sizes[1], `page is ${sizes[0]} wide in ${sizes[1]}`);
		const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
		assert.equal(back[0] < 128, dark, `background ${back}`);
		await end();
	}
}

// The policy allows nothing of a stranger's, axe's own script neither: it looks at the page without one.
{
	const {page, end} = await open(url, {bypassCSP: true});
	await until(page, 'the page is made', () => !document.querySelector('#cut'));
	assert.deepEqual(await axe(page), []);
	await end();
}

// Thousands of accounts: only what is visible is drawn, down to the last.
{
	const {page, end} = await open(big);
	await until(page, 'the page is made', () => !document.querySelector('#cut'));
	assert.match(await text(page, 'lanes-text'), /^Showing 2,9\d\d of 2,9\d\d accounts\. /);
	await page.locator('#lanes').focus();
	const top = await seen(page);
	await page.keyboard.press('End');
	assert.notEqual(await seen(page), top);
	assert.ok(await page.evaluate(() => document.querySelectorAll('*').length) < 1500, 'few elements');
	assert.ok(await drawn(page, '#lanes canvas') > 0.002);
	await end();
}

await close();
