/** The documentation site in a browser without other hosts: its search, by keyboard, in light and dark. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ROOT, screenshot } from './lab.mjs';
import { openAlone, serveSite } from './site.mjs';

const FOUND = '.site-search-results li a';

describe('the documentation site', { timeout: 300_000 }, () => {
  let home;
  let html;
  let site;
  let browser;

  before(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'turbopilot-docs-'));
    const python = process.env.JUPYTER ? path.join(path.dirname(process.env.JUPYTER), 'python') : 'python3';
    const script = path.join(ROOT, 'scripts', 'build_site.py');
    const built = spawnSync(process.env.DOCS_PYTHON ?? python, [script, '--into', home], {
      encoding: 'utf8'
    });
    assert.equal(built.status, 0, built.stdout + built.stderr);
    html = path.join(home, 'html');
    site = await serveSite(html);
    browser = await openAlone();
  });

  after(async () => {
    await browser?.close();
    await site?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  /** Open a page in light or dark. */
  async function open(name, scheme = 'light', width = 1180) {
    const page = await browser.context.newPage();
    await page.setViewportSize({ width, height: 760 });
    await page.emulateMedia({ colorScheme: scheme });
    await page.goto(site.url + name);
    return page;
  }

  test('can be searched by keyboard, and a result opens its section', async () => {
    const page = await open('index.html');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('how do I use my nvidia card');
    await page.waitForSelector(`dialog ${FOUND}`);
    assert.equal(await page.locator(`dialog ${FOUND}`).first().innerText(), 'Graphics cards');
    assert.match(await page.locator('dialog [role="status"]').innerText(), /\d results/);
    await screenshot(page, 'docs-search-dialog');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/models.html#graphics-cards');
    await page.close();
  });

  test('has a results page with its own URL, also for whole questions', async () => {
    const page = await open('search.html?q=How%20do%20I%20quantise%20a%20model%3F', 'dark');
    await page.waitForSelector(FOUND);
    assert.equal(await page.locator(FOUND).first().innerText(), 'Converting and quantising');
    await screenshot(page, 'docs-search-dark');
    await page.locator('#site-search-page input').fill('xyzzyqwertz');
    await page.waitForFunction(() =>
      document.querySelector('#site-search-page .site-search-status').textContent.startsWith('Nothing')
    );
    await page.close();
  });

  /** Search in the dialog, and move the focus to the first result. */
  async function toFirstResult(page, question) {
    await page.keyboard.press('Control+k');
    await page.keyboard.type(question);
    await page.waitForSelector(`dialog ${FOUND}`);
    await page.keyboard.press('ArrowDown');
    await page.waitForSelector(`dialog ${FOUND}:focus`);
  }

  test('closes the dialog on Escape and for a result on the same page', async () => {
    const page = await open('troubleshooting.html');
    await toFirstResult(page, 'Colab Kaggle');
    await page.keyboard.press('Escape');
    await page.waitForSelector('#pst-search-dialog:not([open])', { state: 'attached' });
    assert.equal(new URL(page.url()).hash, '');
    await page.keyboard.press('Control+k');
    await page.waitForSelector(`dialog ${FOUND}`);
    await page.locator(`dialog ${FOUND}`, { hasText: 'Colab' }).click();
    await page.waitForSelector('#pst-search-dialog:not([open])', { state: 'attached' });
    await page.waitForURL('**/troubleshooting.html#colab-kaggle-binder');
    await page.close();
  });

  test('retries a part of the search that could not be loaded', async () => {
    const name = '_static/search-sections.js';
    site.files[name] = { status: 503, body: 'not now' };
    const page = await open('search.html?q=proxy');
    const status = page.locator('#site-search-page .site-search-status');
    await status.filter({ hasText: 'could not be loaded' }).waitFor();
    delete site.files[name];
    await page.locator('#site-search-page input').press('Enter');
    await page.waitForSelector(FOUND);
    assert.match(await status.innerText(), /results/);
    await page.close();
  });

  test('is legible on a narrow screen, in light and dark', async () => {
    for (const [name, scheme, width] of [
      ['index.html', 'light', 1180],
      ['index.html', 'dark', 1180],
      ['index.html', 'light', 390],
      ['jupyterlab.html', 'dark', 390],
      ['comparison.html', 'light', 1180],
      ['settings.html', 'light', 1180],
      ['troubleshooting.html', 'dark', 1180]
    ]) {
      const page = await open(name, scheme, width);
      await screenshot(page, `docs-${name.replace('.html', '')}-${scheme}-${width}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `${name} is ${wide} pixels wider than the screen of ${width}`);
      await page.close();
    }
  });

  test('shows a still picture with reduced motion', async () => {
    const page = await open('index.html');
    const shown = () => page.evaluate(() => document.querySelector('picture img').currentSrc);
    assert.match(await shown(), /ghost-text-moving\.png$/);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.waitForFunction(() =>
      /ghost-text\.png$/.test(document.querySelector('picture img').currentSrc)
    );
    await page.close();
  });

  test('works from the disk, including the search', async () => {
    const page = await browser.context.newPage();
    await page.goto(`${pathToFileURL(path.join(html, 'search.html'))}?q=telemetry`);
    await page.waitForSelector(FOUND);
    assert.equal(await page.locator(FOUND).first().innerText(), 'Telemetry');
    await page.close();
  });

  test('sends no requests to other hosts or for missing files', () => {
    assert.deepEqual(browser.outside, []);
    const missing = site.missing.filter(address => address !== '/favicon.ico'); // the browser's own request
    assert.deepEqual(missing, []);
  });
});
