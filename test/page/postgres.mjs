// Postgres is stopped and started again under a run.
import {open, close, act, until, verdict} from './browser.mjs';

const [url] = process.argv.slice(2), {PAGE_STOP, PAGE_START} = process.env;
const {page, end} = await open(url);
const postgres = wanted => until(page, `Postgres ${wanted}`, wanted =>
	document.querySelector('#stages > li:nth-child(5)').textContent.includes(`Postgres${wanted}`), wanted);

await verdict(page, 'good', 'Ready');
await postgres('reachable');
act(PAGE_STOP);
await verdict(page, 'bad', 'the database does not answer');
await postgres('not reachable');
act(PAGE_START);
await verdict(page, 'good', 'Ready');
await postgres('reachable');
act('printf "%s\\n" "$PAGE_MORE" >>"$PAGE_INPUT"');
await until(page, 'work goes on', () => document.querySelector('#totals td').textContent === '2');
await end();
await close();
