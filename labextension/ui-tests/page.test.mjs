/** The static page: an editor with ghost text, without Jupyter. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { screenshot } from './lab.mjs';
import { BEGUN, buildPage, ISOLATED, listed, modelIn, openAlone, REST, serveSite } from './site.mjs';

const GHOST = '.ghost';

describe('the static page', { timeout: 120_000 }, () => {
  let browser;
  let built;
  const sites = [];

  before(async () => {
    built = buildPage();
    browser = await openAlone();
  });

  afterEach(() => Promise.all(browser.context.pages().map(page => page.close())));

  after(async () => {
    await browser?.close();
    await Promise.all(sites.map(site => site.stop()));
    built?.remove();
  });

  /** Serve the page with the tests' model, or with other files in its place, and open it in a new tab. */
  async function open({ files = {}, ...options } = {}) {
    const site = await serveSite(built.folder, { files: { ...modelIn(''), ...files }, ...options });
    sites.push(site);
    const page = await browser.context.newPage();
    await page.goto(site.url);
    await page.locator('.cm-content').click();
    return { site, page };
  }

  /** The editor's text without the ghost text. */
  const textOf = page =>
    page.locator('.cm-content').evaluate(node => {
      const copy = node.cloneNode(true);
      copy.querySelectorAll('.ghost').forEach(grey => grey.remove());
      return [...copy.querySelectorAll('.cm-line')].map(line => line.textContent).join('\n');
    });

  /** Type the text that the test model continues, and wait for the ghost text. */
  async function type(page, text = BEGUN, rest = REST) {
    await page.keyboard.insertText(text.slice(0, -1));
    await page.keyboard.type(text.at(-1));
    await page.locator(GHOST, { hasText: rest }).waitFor({ timeout: 20_000 });
    assert.equal(await page.locator(GHOST).innerText(), rest);
  }

  /** Collect the page's messages to its worker from now on in `messages`. */
  const listen = page =>
    page.evaluate(() => {
      const { prototype } = globalThis.Worker;
      const post = prototype.postMessage;
      window.messages = [];
      prototype.postMessage = function (message) {
        window.messages.push(message.kind);
        return post.call(this, message);
      };
    });

  test('shows ghost text that Tab accepts, in a subfolder with special characters', async () => {
    const { site, page } = await open({ prefix: '/a b/ü/' });
    await type(page);
    await screenshot(page, 'page-light');
    await page.keyboard.press('Tab');
    await page.waitForSelector(GHOST, { state: 'detached' });
    assert.equal(await textOf(page), BEGUN + REST);
    assert.match(await page.locator('#speed').innerText(), /^Last keystroke: \d+ ms/);
    assert.match(await page.locator('#model').innerText(), /rectangles \(0\.1 MB\)/);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.keyboard.press('Control+Home');
    await screenshot(page, 'page-dark');
    assert.equal(site.asked.filter(name => name?.endsWith('.gguf')).length, 1);
  });

  test('indents automatically, so that text typed line by line is completed', async () => {
    const { page } = await open();
    await page.locator('.cm-content[data-language="python"]').waitFor(); // the grammar is fetched by itself
    await page.keyboard.type(BEGUN.replace('\n    ', '\n'));
    await page.locator(GHOST, { hasText: REST }).waitFor({ timeout: 20_000 });
    assert.equal(await textOf(page), BEGUN);
  });

  test('keeps the rest while the user types along, and accepts a word or dismisses it', async () => {
    const { page } = await open({ headers: ISOLATED });
    await type(page);
    await page.keyboard.type('urn');
    assert.equal(await page.locator(GHOST).innerText(), REST.slice(3));
    await page.keyboard.press('Control+ArrowRight');
    assert.equal(await textOf(page), `${BEGUN}urn width`);
    assert.equal(await page.locator(GHOST).innerText(), ' * height');
    for (const key of ['Escape', 'ArrowLeft']) {
      await page.keyboard.press('Control+a');
      await page.keyboard.press('Delete');
      await type(page);
      await page.keyboard.press(key);
      assert.equal(await page.locator(GHOST).count(), 0);
    }
    await page.keyboard.press('End');
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
    await type(page);
    await page.locator('.cm-line').first().click();
    assert.equal(await page.locator(GHOST).count(), 0);
    assert.equal(await textOf(page), BEGUN);
    await page.keyboard.press('Control+z');
    assert.equal(await page.locator(GHOST).count(), 0);
  });

  test('warns about languages that the model supports less well', async () => {
    const { page } = await open({ files: { 'models.json': { body: listed({ best: 'python' }) } } });
    const note = page.locator('#note');
    assert.equal(await note.innerText(), '');
    await page.locator('#language').selectOption('rust');
    await note.getByText('The model was trained mainly on Python. In Rust, it suggests less').waitFor();
    await screenshot(page, 'page-rust');
    await page.locator('#language').selectOption('python');
    await page.waitForFunction(() => !document.querySelector('#note').textContent);
  });

  test('reports that the model is loaded and sends only generation requests to the worker', async () => {
    const { page } = await open();
    await page.locator('#status', { hasText: 'Ready.' }).waitFor({ timeout: 20_000 });
    await page.locator('#model', { hasText: 'rectangles' }).waitFor();
    await listen(page);
    await type(page);
    const output = new Set(await page.evaluate(() => window.messages));
    output.delete('cancel'); // sent if a newer keystroke superseded a generation
    assert.deepEqual([...output], ['generate']);
  });

  test('announces each suggestion once if enabled', async () => {
    const { page } = await open();
    await page.locator('#announce').check();
    await page.locator('.cm-content').click();
    await page.evaluate(() => {
      const region = document.querySelector('.unseen[aria-live="polite"]');
      window.announced = [];
      const note = () => window.announced.push(region.textContent);
      new window.MutationObserver(note).observe(region, {
        childList: true,
        characterData: true,
        subtree: true
      });
    });
    // Insert it at once: a suggestion for a part of it would be announced, too.
    await page.keyboard.insertText(BEGUN);
    await page.waitForFunction(() => window.announced.length > 0, null, { timeout: 20_000 });
    await page.keyboard.type('urn');
    await page.keyboard.press('Escape');
    await page.waitForTimeout(300);
    assert.deepEqual(await page.evaluate(() => window.announced), [`Suggestion: ${REST}`]);
  });

  test('can be left with Escape and Tab, with and without ghost text', async () => {
    const { page } = await open();
    const focused = () => page.evaluate(() => document.activeElement?.className ?? '');
    for (const begun of [BEGUN, '']) {
      await page.locator('.cm-content').click();
      if (begun) {
        await type(page);
      }
      await page.keyboard.press('Escape');
      assert.equal(await page.locator(GHOST).count(), 0);
      await page.keyboard.press('Tab');
      assert.doesNotMatch(await focused(), /cm-content/);
      assert.equal(await textOf(page), BEGUN);
    }
  });

  test('works without a network after the first visit, with any cache headers', async () => {
    const { site, page } = await open({ headers: { Vary: 'Accept, Origin' } });
    await type(page);
    await page.evaluate(() => navigator.serviceWorker.ready);
    await site.stop();
    await page.reload();
    await page.locator('.cm-content').click();
    await type(page);
    await page.keyboard.press('Tab');
    assert.equal(await textOf(page), BEGUN + REST);
  });

  test('keeps its files while it is open, even after an update', async () => {
    const { site, page } = await open();
    await page.evaluate(() => navigator.serviceWorker.ready);
    const source = readFileSync(path.join(built.folder, 'service-worker.js'), 'utf8');
    site.files['service-worker.js'] = { body: source.replace(/VERSION = '\w+'/, "VERSION = 'next'") };
    const waits = await page.evaluate(async () => {
      const registration = await navigator.serviceWorker.getRegistration();
      await registration.update();
      const { installing } = registration;
      await new Promise(resolve => {
        installing.onstatechange = () => installing.state !== 'installing' && setTimeout(resolve, 300);
      });
      return installing.state;
    });
    assert.equal(waits, 'installed');
    assert.equal((await page.evaluate(() => globalThis.caches.keys())).length, 2);
  });

  test('reports once that the model is missing', async () => {
    const { site, page } = await open({ files: { 'rectangles.gguf': { status: 404, body: 'no' } } });
    const status = page.locator('#status');
    await page.locator('#status.error').waitFor({ timeout: 20_000 });
    assert.match(await status.innerText(), /could not be downloaded.*\(404\)/);
    // The service worker downloads the page's files for later; only requests from typing count.
    await page.evaluate(() => navigator.serviceWorker.ready);
    const before = site.asked.length;
    await page.keyboard.type('def area', { delay: 20 });
    assert.match(await status.innerText(), /could not be downloaded.*\(404\)/);
    assert.equal(site.asked.length, before);
    assert.equal(await textOf(page), 'def area');
  });

  test('sends no requests to other sites', () => assert.deepEqual(browser.outside, []));
});
