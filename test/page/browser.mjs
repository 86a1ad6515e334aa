// What the page's tests share: a headless Chromium on the page of statusd, which also watches that no request leaves
// for another host, that no script of the data's runs, and that the console stays silent.
//
//   const {page, end} = await open(URL, {width, dark, clock, answer, bypassCSP});   answer: a function whose value /api/status answers with
//   await until(page, 'what', condition, ...arguments);   a function that runs in the page; a Locator's state by page.locator
//   await end(allowed);                                   allowed: a pattern of console messages that are expected
//   await close();                                        the last line
//
// PAGE_MODULES is the folder of playwright-core and axe-core, CHROMIUM the browser.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {readFileSync} from 'node:fs';

const require = createRequire(`${process.env.PAGE_MODULES}/`);
const {chromium} = require('playwright-core');
const PATIENCE = 60_000; // ms until a condition that does not come true is a failure

let browser; // one for all pages

export async function open(url, {width = 1280, dark = false, clock = false, answer = null, bypassCSP = false} = {}) {
	browser ??= await chromium.launch({executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-quic',
		'--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']});
	const context = await browser.newContext({viewport: {width, height: 800}, colorScheme: dark ? 'dark' : 'light', bypassCSP});
	context.setDefaultTimeout(PATIENCE);
	const page = await context.newPage(), said = [], strangers = [], origin = new URL(url).origin;
	page.on('console', message => {
		if (['error', 'warning'].includes(message.type())) said.push(message.text());
	});
	page.on('pageerror', error => said.push(`uncaught: ${error.message}`));
	page.on('dialog', dialog => {
		said.push(`dialog: ${dialog.message()}`);
		dialog.dismiss();
	});
	page.on('request', request => {
		if (new URL(request.url()).origin !== origin) strangers.push(request.url());
	});
	if (answer) {
		await page.route('**/api/status', route => {
			const body = answer();
			return route.fulfill(typeof body === 'object' ? {json: body} : {status: body});
		});
	}
	if (clock) await page.clock.install(); // so that page.clock.fastForward() can turn it
	await page.goto(url);
	return {
		page, async end(allowed = /^$/) {
			if (process.env.PAGE_SHOTS) {
				const name = process.argv[1].replace(/.*\/|\.mjs$/g, '');
				await page.screenshot({path: `${process.env.PAGE_SHOTS}/${name}-${width}${dark ? '-dark' : ''}.png`, fullPage: true});
			}
			await context.close();
			assert.deepEqual(strangers, [], 'requests to other hosts');
			assert.deepEqual(said.filter(text => !allowed.test(text)), [], 'messages on the console');
		},
	};
}

export async function until(page, what, condition, argument) {
	try {
		await page.waitForFunction(condition, argument, {timeout: PATIENCE});
	} catch (error) {
		const text = await page.evaluate(() => document.body.innerText.replace(/\s+/g, ' ').slice(0, 2000)).catch(() => '(no page)');
		throw new Error(`never came true: ${what} (${error.message.split('\n')[0]}); the page says: ${text}`);
	}
}

// Runs what is done to the pipeline.
export function act(command) {
	execFileSync('sh', ['-c', command], {stdio: 'ignore'});
}

export function close() {
	return browser.close();
}

// Until the verdict is in that state (good, idle, bad, gone), with text in its sentence or reasons.
export function verdict(page, state, text = '') {
	return until(page, `verdict ${state} ${text}`, ([state, text]) => {
		const verdict = document.querySelector('#verdict');
		return verdict.dataset.state === state && verdict.textContent.includes(text);
	}, [state, text]);
}

// The rows of a table, each an array of its cells' text.
export function rows(page, table) {
	return page.$$eval(`#${table} tbody tr`, all => all.map(row => Array.from(row.cells, cell => cell.textContent)));
}

// What axe finds wrong with the page.
export async function axe(page) {
	await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
	const {violations} = await page.evaluate(() => window.axe.run());
	return violations.map(({id, nodes}) => `${id}: ${nodes.map(node => node.html.slice(0, 200)).join(' ')}`);
}

export {assert};
