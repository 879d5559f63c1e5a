/** A JupyterLite site that also offers a model for wllama: it completes where somebody chooses it, and only there. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { editCell, ghost, ROOT, screenshot, textOf } from './lab.mjs';
import { BEGUN, modelIn, openLite, REST, STATIC } from './site.mjs';

const PACKAGE = path.join(ROOT, 'labextension', 'node_modules', '@wllama', 'wllama');
const WLLAMA = readFileSync(path.join(PACKAGE, 'esm', 'wasm', 'wllama.wasm'));
/** What docs/browser.md says a policy has to allow; a worker obeys the one that its script comes with. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self' blob:";

describe('a site with a model for wllama', { timeout: 120_000 }, () => {
  let lite;
  let site;
  let page;

  before(async () => {
    lite = await openLite();
    // The tests' own model once more, under a name of its own.
    const files = modelIn(STATIC);
    const { models } = JSON.parse(files[`${STATIC}models.json`].body);
    const larger = { ...models[0], name: 'larger', engine: 'wllama', use: 'for those who ask for it' };
    const body = JSON.stringify({ wllama: 'wllama.wasm', models: [...models, larger] });
    const folder = path.join(lite.folder, STATIC);
    for (const name of readdirSync(folder).filter(file => file.endsWith('.js'))) {
      const headers = { 'Content-Security-Policy': POLICY };
      files[STATIC + name] = { body: readFileSync(path.join(folder, name)), headers };
    }
    files[`${STATIC}models.json`] = { body };
    files[`${STATIC}wllama.wasm`] = { body: WLLAMA };
    site = await lite.serve({ files });
    page = await lite.open(site);
  });

  after(() => lite?.close());

  /** The scripts of ours that were fetched, by what is in them. */
  const fetched = words =>
    site.asked.filter(
      name =>
        name?.startsWith(STATIC) &&
        name.endsWith('.js') &&
        readFileSync(path.join(lite.folder, name), 'utf8').includes(words)
    );

  /** Type what the model knows, and take what it suggests; `asking`: with the key that asks for it. */
  async function type(cell, { asking = false } = {}) {
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
    await page.keyboard.insertText(BEGUN.slice(0, -1));
    await page.keyboard.type(BEGUN.at(-1));
    if (asking) {
      await page.keyboard.press('Alt+\\');
    }
    assert.equal(await ghost(page), REST);
    await page.keyboard.press('Tab');
    assert.equal(await textOf(cell), BEGUN + REST);
  }

  test('loads nothing of wllama by itself', async () => {
    await type(await editCell(page, 0));
    assert.ok(fetched('postMessage').length > 0);
    assert.deepEqual(fetched('wllama.action'), []);
    assert.ok(!site.asked.includes(`${STATIC}wllama.wasm`));
  });

  test('completes with it where somebody chooses it, and says which model completes', async () => {
    await page.locator('.jp-Turbopilot-status').click();
    await page.getByText('Models…').first().click();
    const row = page.locator('.jp-Turbopilot-models tr[data-model="larger"]');
    await row.getByRole('button').first().click();
    await page.locator('tr[data-model="larger"][aria-current="true"]').waitFor({ timeout: 60_000 });
    await row.getByText('in use').waitFor();
    await screenshot(page, 'larger-panel');
    await page.locator('.lm-TabBar-tab', { hasText: 'shapes.ipynb' }).click();
    const cell = await editCell(page, 0);
    // Whether it also answers each key depends on how fast it is here.
    await type(cell, { asking: true });
    await screenshot(page, 'larger-cell');
    assert.equal(fetched('wllama.action').length, 1);
    assert.equal(site.asked.filter(name => name === `${STATIC}wllama.wasm`).length, 1);
  });

  test('goes back to the smaller one, and to the larger without fetching it again', async () => {
    await page.locator('.lm-TabBar-tab', { hasText: 'Models' }).click();
    for (const name of ['rectangles', 'larger']) {
      const row = page.locator(`.jp-Turbopilot-models tr[data-model="${name}"]`);
      await row.getByRole('button', { name: `Use: ${name}` }).click();
      await row.getByText('in use').waitFor({ timeout: 60_000 });
    }
    await page.locator('.lm-TabBar-tab', { hasText: 'shapes.ipynb' }).click();
    await type(await editCell(page, 0), { asking: true });
    assert.equal(site.asked.filter(name => name === `${STATIC}wllama.wasm`).length, 1);
  });

  test('asks nothing of any other site', () => assert.deepEqual(lite.browser.outside, []));
});
