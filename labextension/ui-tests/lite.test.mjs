/** A JupyterLite site: ghost text without a server. */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { editCell, execute, GHOST, screenshot, textOf } from './lab.mjs';
import { askInVain, BEGUN, ISOLATED, modelIn, openLite, REST, STATIC, typeBegun } from './site.mjs';

describe('a JupyterLite site', { timeout: 120_000 }, () => {
  let lite;

  before(async () => (lite = await openLite({ enableServiceWorkerCache: 'true' })));

  afterEach(() => Promise.all(lite.browser.context.pages().map(page => page.close())));

  after(() => lite?.close());

  async function completesIn(page, cell) {
    assert.equal(await typeBegun(page), REST);
    await page.keyboard.press('Tab');
    await page.waitForSelector(GHOST, { state: 'detached' });
    assert.equal(await textOf(cell), BEGUN + REST);
  }

  test('shows ghost text in a notebook, in a subfolder with special characters', async () => {
    const site = await lite.serve({ prefix: '/a b/ü/' });
    const page = await lite.open(site);
    const cell = await editCell(page, 0);
    await completesIn(page, cell);
    await screenshot(page, 'lite-lab');
    assert.equal(site.asked.filter(name => name?.endsWith('.gguf')).length, 1);
    // An explicit request without a suggestion is reported until the next keystroke.
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
    await askInVain(page);
    const notice = page.locator('.Toastify__toast', { hasText: 'No suggestion at this position.' });
    await notice.waitFor({ timeout: 30_000 });
    await screenshot(page, 'lite-nothing');
    await page.keyboard.press('ArrowLeft');
    await notice.waitFor({ state: 'detached', timeout: 3000 }); // it would go by itself in four seconds
  });

  test('shows ghost text in Notebook and the file editor, cross-origin isolated and with another list of models', async () => {
    // Its configuration names another list of models, in the site's files.
    const data = { ...lite.config['jupyter-config-data'], turbopilotModels: 'files/models/models.json' };
    const config = { ...lite.config, 'jupyter-config-data': data };
    const files = { ...modelIn('files/models/'), 'jupyter-lite.json': { body: JSON.stringify(config) } };
    const site = await lite.serve({ headers: ISOLATED, files });
    const notebook = await lite.open(site, 'notebooks/index.html?path=shapes.ipynb');
    await completesIn(notebook, await editCell(notebook, 0));
    assert.equal(await notebook.evaluate(() => window.crossOriginIsolated), true);
    await screenshot(notebook, 'lite-notebook');
    const page = await lite.open(site, 'edit/index.html?path=shapes.py');
    const editor = page.locator('.jp-FileEditor');
    await editor.locator('.cm-content').click({ timeout: 60_000 });
    await completesIn(page, editor);
    await screenshot(page, 'lite-editor');
  });

  test('downloads no model before an editor is open', async () => {
    const site = await lite.serve();
    const page = await lite.open(site, 'lab/index.html');
    await page.locator('.jp-Turbopilot-status[data-condition="ready"]').waitFor({ timeout: 60_000 });
    await page.waitForTimeout(1000);
    const ours = () => site.asked.filter(name => /models\.json$|\.gguf$|\.wasm$|worker/.test(name ?? ''));
    const before = ours().filter(name => name.startsWith(STATIC));
    assert.deepEqual(before, []);
    await execute(page, 'docmanager:open', { path: 'shapes.ipynb' });
    await editCell(page, 0);
    await typeBegun(page);
    assert.equal(ours().filter(name => name.startsWith(STATIC)).length, 3);
  });

  test('completes after a reload without a network', async () => {
    const site = await lite.serve();
    let page = await lite.open(site);
    await editCell(page, 0);
    // JupyterLite's service worker caches files from the second visit on.
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.close();
    page = await lite.open(site);
    await completesIn(page, await editCell(page, 0));
    // Of the site's files, it caches those that the user has saved.
    await execute(page, 'docmanager:save');
    await site.stop();
    await page.close();
    page = await lite.open(site);
    const cell = await editCell(page, 0);
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
    await completesIn(page, cell);
  });

  test('sends no requests to other sites', () => assert.deepEqual(lite.browser.outside, []));
});
