/** A JupyterLite site: grey text without a server. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { editCell, GHOST, ghost, screenshot, textOf } from './lab.mjs';
import { BEGUN, buildLite, ISOLATED, modelIn, openAlone, REST, serveSite } from './site.mjs';

const STATIC = 'extensions/jupyter-turbopilot/static/';
const NOTEBOOK = JSON.stringify({
  cells: [{ id: 'one', cell_type: 'code', source: '', metadata: {}, execution_count: null, outputs: [] }],
  metadata: {
    kernelspec: { display_name: 'Python (Pyodide)', language: 'python', name: 'python' },
    language_info: { name: 'python' }
  },
  nbformat: 4,
  nbformat_minor: 5
});

describe('in a JupyterLite site', { timeout: 120_000 }, () => {
  let browser;
  let lite;
  const sites = [];

  before(async () => {
    lite = buildLite({ 'shapes.ipynb': NOTEBOOK, 'shapes.py': '' }, { enableServiceWorkerCache: 'true' });
    browser = await openAlone();
  });

  afterEach(() => Promise.all(browser.context.pages().map(page => page.close())));

  after(async () => {
    await browser?.close();
    await Promise.all(sites.map(site => site.stop()));
    lite?.remove();
  });

  async function serve(options = {}) {
    const site = await serveSite(lite.folder, { files: modelIn(STATIC), ...options });
    sites.push(site);
    return site;
  }

  async function open(site, address) {
    const page = await browser.context.newPage();
    await page.goto(site.url + address);
    return page;
  }

  /** Type what the model knows; return the grey text behind it. */
  async function type(page) {
    await page.keyboard.insertText(BEGUN.slice(0, -1));
    await page.keyboard.type(BEGUN.at(-1));
    return ghost(page);
  }

  async function completesIn(page, cell) {
    assert.equal(await type(page), REST);
    await page.keyboard.press('Tab');
    await page.waitForSelector(GHOST, { state: 'detached' });
    assert.equal(await textOf(cell), BEGUN + REST);
  }

  test('a notebook in JupyterLab has grey text, from a subfolder with odd characters', async () => {
    const site = await serve({ prefix: '/a b/ü/' });
    const page = await open(site, 'lab/index.html?path=shapes.ipynb');
    await completesIn(page, await editCell(page, 0));
    await screenshot(page, 'lite-lab');
    assert.equal(site.asked.filter(name => name?.endsWith('.gguf')).length, 1);
  });

  test('so have Notebook and the file editor, cross-origin isolated and with a list of models elsewhere', async () => {
    // Its configuration names another list of models, among the files that people see.
    const config = JSON.parse(readFileSync(path.join(lite.folder, 'jupyter-lite.json'), 'utf8'));
    config['jupyter-config-data'].turbopilotModels = 'files/models/models.json';
    const files = { ...modelIn('files/models/'), 'jupyter-lite.json': { body: JSON.stringify(config) } };
    const site = await serve({ headers: ISOLATED, files });
    const notebook = await open(site, 'notebooks/index.html?path=shapes.ipynb');
    await completesIn(notebook, await editCell(notebook, 0));
    assert.equal(await notebook.evaluate(() => window.crossOriginIsolated), true);
    await screenshot(notebook, 'lite-notebook');
    const page = await open(site, 'edit/index.html?path=shapes.py');
    const editor = page.locator('.jp-FileEditor');
    await editor.locator('.cm-content').click({ timeout: 60_000 });
    await completesIn(page, editor);
    await screenshot(page, 'lite-editor');
  });

  test('reloaded without a network it still completes', async () => {
    const site = await serve();
    let page = await open(site, 'lab/index.html?path=shapes.ipynb');
    await editCell(page, 0);
    // What JupyterLite's service worker keeps is what is fetched while it is there: from the second visit on.
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.close();
    page = await open(site, 'lab/index.html?path=shapes.ipynb');
    await completesIn(page, await editCell(page, 0));
    // Of the files that the site offers, it keeps those that somebody has saved.
    await page.evaluate(() => window.jupyterapp.commands.execute('docmanager:save'));
    await site.stop();
    await page.close();
    page = await open(site, 'lab/index.html?path=shapes.ipynb');
    const cell = await editCell(page, 0);
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
    await completesIn(page, cell);
  });

  test('says it once where there is no model, and asks for it once', async () => {
    const site = await serve({ files: { [`${STATIC}models.json`]: { body: '{"models": []}' } } });
    const page = await open(site, 'lab/index.html?path=shapes.ipynb');
    await editCell(page, 0);
    await page.keyboard.type('def area', { delay: 50 });
    const notice = page.locator('.Toastify__toast', { hasText: 'no model for the browser' });
    await notice.waitFor({ timeout: 30_000 });
    await page.keyboard.type('(width', { delay: 50 });
    assert.equal(await notice.count(), 1);
    assert.equal(site.asked.filter(name => name === `${STATIC}models.json`).length, 1);
    await screenshot(page, 'lite-without-model');
  });

  test('nothing was asked of any other site', () => assert.deepEqual(browser.outside, []));
});
