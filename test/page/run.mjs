// A real run: its figures, an account whose id is a script, a writer that is killed, and at last no statusd any more.
import {open, close, act, until, verdict, rows, assert} from './browser.mjs';

const [url] = process.argv.slice(2), {PAGE_KILL, PAGE_MORE, PAGE_INPUT, PAGE_STOP} = process.env;
const {page, end} = await open(url);

await verdict(page, 'good', 'Ready');
const totals = wanted => until(page, `totals ${wanted}`, wanted => {
	const numbers = Array.from(document.querySelectorAll('#totals td'), cell => cell.textContent);
	return wanted.every((number, i) => number === null || numbers[i] === number);
}, wanted);
// read = indexed + stale + duplicate + conflict + skipped + rejected; fired, failed, cancelled (counted once all of it is delivered),
// pending, restarts
await totals(['204', '202', '1', '0', '0', '0', '1', '101', '0', null, '100', '0']);
await until(page, 'stages run', () => Array.from(document.querySelectorAll('#stages > li'), card => card.dataset.state).join() ===
	'good,good,good,good,good,good');
assert.deepEqual(await rows(page, 'richest'), [['t', '<script>alert(1)</script>', '9,007,199,254,740,993', '9,007,199,254,740,993']]);
const [reject] = await rows(page, 'rejects');
assert.match(reject[0], /tokens/);
assert.equal(reject[1], '1');
assert.match(reject[3], /<img src=x onerror=alert\(2\)>/);
assert.match(await page.locator('#reading').textContent(), /live.*read/s);
await until(page, 'pending by time due', () => Array.from(document.querySelectorAll('#due tbody tr'), row => row.cells[1].textContent)
	.join() === '0,0,0,0,0,99,1,0');
assert.match((await rows(page, 'sources'))[0].join(), /^live,204,202,1,0,0,0,1,203,/);

act(PAGE_KILL);
await until(page, 'the kill', () => /writer *signal 9/.test(document.querySelector('#restarts tbody').innerText.replace(/\s+/g, ' ')));
act('printf "%s\\n" "$PAGE_MORE" >>"$PAGE_INPUT"');
await totals(['205', '203', '1', '0', '0', '0', '1', '101', '0', null, '100', '1']);
await verdict(page, 'good', 'Ready');

act(PAGE_STOP);
await verdict(page, 'gone', 'The connection failed.');
const sentence = await page.locator('#sentence').textContent();
assert.match(sentence, /^No answer from statusd since \d\d:\d\d:\d\d UTC$/);
assert.equal(await page.title(), 'No answer from statusd – acctflow');
await until(page, 'its age', () => /^\d+ s ago/.test(document.querySelector('#age').textContent));
assert.equal(await page.locator('#sentence').textContent(), sentence, 'what is read aloud does not change with every second');
assert.equal((await rows(page, 'totals'))[0][1], '205', 'the last figures stay');
await end(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
await close();
