/** Failures of the server, after which ghost text returns by itself. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  editCell,
  GHOST,
  ghost,
  openFile,
  openLab,
  screenshot,
  showsStatus,
  textOf,
  writeNotebook
} from './lab.mjs';
import { startProxy } from './proxy.mjs';

const KEYS = '1, 1, 1, ';
const SAYS = '2, 3';
/** Seconds until ghost text must return. */
const SOON = 9000;

const complete = request => request.url.startsWith('/turbopilot/complete');
const ours = request => request.url.startsWith('/turbopilot/');
const status = code => (_, response) => response.writeHead(code).end(JSON.stringify({ message: 'not now' }));
const body = (text, type) => (_, response) => response.writeHead(200, { 'Content-Type': type }).end(text);
const html = '<!doctype html><title>Sign in</title>';

// Unexpected responses and their routes. The unit tests of the HTTP client and of the availability cover the others.
const FAULTS = {
  500: [complete, status(500)],
  'a page with 200': [ours, body(html, 'text/html')]
};

describe('failures of the server', { timeout: 300_000 }, () => {
  let browser;
  let cell;
  let close;
  let lab;
  let page;
  let proxy;

  const asks = () => proxy.asked.filter(path => path.startsWith('POST /turbopilot/complete')).length;
  const checks = () => proxy.asked.filter(path => path.startsWith('GET /turbopilot/health')).length;
  const label = () => page.locator('.jp-Turbopilot-status').innerText();
  const toasts = () => page.locator('.Toastify__toast').count();

  let lines = 0;

  /** A line without a cached suggestion. */
  async function fresh() {
    const head = `values_${++lines} = `;
    await page.keyboard.press('Control+a');
    await page.keyboard.insertText(head);
    return head;
  }

  async function back(timeout = SOON) {
    await page.waitForSelector(GHOST, { timeout });
    assert.equal(await ghost(page), SAYS);
    await showsStatus(page, 'ready', SOON);
    await page.waitForFunction(() => !document.querySelector('.Toastify__toast'), null, { timeout: SOON });
  }

  before(async () => {
    ({ lab, browser, close } = await openLab({ says: SAYS, flags: ['--Turbopilot.kernel_context=False'] }));
    proxy = await startProxy(lab.port);
    writeNotebook(lab, 'faults.ipynb', ['values = ']);
    page = await openFile(browser.context, lab, 'faults.ipynb', { url: proxy.url });
    cell = await editCell(page, 0);
    await page.keyboard.type(KEYS);
    await back();
  });

  after(async () => {
    await close?.();
    proxy?.stop();
  });

  for (const [name, [where, answer]] of Object.entries(FAULTS)) {
    test(`${name}: typing continues, requests are limited, and ghost text returns`, async () => {
      const head = await fresh();
      proxy.fault = (request, response) => where(request) && (answer(request, response), true);
      await page.keyboard.type(KEYS.slice(0, 3), { delay: 90 });
      await showsStatus(page, 'error', SOON);
      const before = asks();
      await page.keyboard.type(KEYS, { delay: 60 });
      assert.equal(await textOf(cell), head + KEYS.slice(0, 3) + KEYS);
      assert.equal(await page.locator(GHOST).count(), 0);
      // A browser may repeat a request after a closed connection.
      assert.ok(asks() - before <= 5, `${asks() - before} requests for ${KEYS.length} keys`);
      assert.ok((await toasts()) <= 1, String(await page.locator('.Toastify').allInnerTexts()));
      assert.ok((await label()).includes('error'));
      if (name === '500') {
        await screenshot(page, 'notice');
      }
      proxy.fault = null;
      await back();
    });
  }

  test('a hanging server is reported and used again when it responds', async () => {
    const head = await fresh();
    proxy.fault = request => ours(request);
    await page.keyboard.type(KEYS, { delay: 90 });
    await showsStatus(page, 'error', 15000);
    const before = asks();
    await page.keyboard.type(KEYS, { delay: 90 });
    assert.equal(asks(), before);
    assert.equal(await textOf(cell), head + KEYS + KEYS);
    proxy.fault = null;
    await back(15000);
  });

  test('an explicit request shows the error', async () => {
    await fresh();
    proxy.fault = (request, response) => ours(request) && (status(500)(request, response), true);
    await page.keyboard.press('Alt+\\');
    await page
      .locator('.Toastify__toast', { hasText: 'The server returned an error (500' })
      .first()
      .waitFor();
    // One notification is shown, whether the warning or the reply comes first.
    await page.locator('.Toastify__toast--warning').waitFor();
    assert.equal(await toasts(), 1);
    const before = checks();
    await page.keyboard.press('Alt+\\');
    for (let tries = 0; tries < 100 && checks() === before; tries++) {
      await page.waitForTimeout(50);
    }
    await page.waitForTimeout(300);
    assert.equal(await toasts(), 1);
    proxy.fault = null;
    await page.keyboard.type(KEYS);
    await page.waitForSelector(GHOST, { timeout: SOON });
  });

  test('a killed server is reported, and ghost text returns after its restart', async () => {
    await fresh();
    await lab.kill();
    // The state is detected without typing.
    await showsStatus(page, 'error', 15000);
    // JupyterLab reports it in a dialog.
    await page.locator('.jp-Dialog', { hasText: 'Server Connection Error' }).waitFor({ timeout: 15000 });
    await page.waitForTimeout(2000);
    await screenshot(page, 'server-killed');
    assert.equal(await page.locator('.Toastify__toast', { hasText: 'Turbopilot' }).count(), 0);
    await lab.start();
    await showsStatus(page, 'ready', 20000);
    // JupyterLab's dialogs about the lost connection have taken the focus.
    for (let tries = 0; tries < 20 && (await page.locator('.jp-Dialog').count()); tries++) {
      await page.keyboard.press('Escape');
      await page.waitForTimeout(200);
    }
    await editCell(page, 0);
    await page.keyboard.type(KEYS, { delay: 90 });
    await page.waitForSelector(GHOST, { timeout: SOON });
  });
});
