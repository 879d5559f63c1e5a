/** JupyterLab with a server: it loads the browser engine only on request. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { editCell, ghost, openFile, openLab, ROOT, screenshot, writeNotebook } from './lab.mjs';
import { modelIn, REST, typeBegun } from './site.mjs';

const BUILT = path.join(ROOT, 'jupyter_turbopilot', 'labextension', 'static');
/** The files that only the browser engine needs: the model, its list, and scripts that start it. */
const LOCAL = readdirSync(BUILT).filter(
  name =>
    /\.(wasm|gguf)$|^models\.json$/.test(name) ||
    (name.endsWith('.js') &&
      /turbopilotModels|WebAssembly/.test(readFileSync(path.join(BUILT, name), 'utf8')))
);

/** Collect a page's requests for the extension's files, and serve the test model. */
async function watch(context) {
  const asked = [];
  const files = modelIn('');
  await context.route('**/jupyter-turbopilot/static/**', async route => {
    const name = path.basename(new URL(route.request().url()).pathname);
    asked.push(name);
    await (files[name] ? route.fulfill({ body: files[name].body }) : route.continue());
  });
  return asked;
}

async function clear(page) {
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Delete');
}

describe('JupyterLab with the server extension', { timeout: 180_000 }, () => {
  let asked;
  let browser;
  let close;
  let lab;
  let page;

  before(async () => {
    ({ lab, browser, close } = await openLab({ says: 'nothing_else' }));
    asked = await watch(browser.context);
    writeNotebook(lab, 'one.ipynb', ['']);
    page = await openFile(browser.context, lab, 'one.ipynb');
  });

  after(() => close?.());

  const local = () => LOCAL.filter(name => asked.includes(name));

  test('loads no code or model of the browser engine', async () => {
    assert.ok(LOCAL.length >= 4, LOCAL.join());
    await editCell(page, 0);
    await page.keyboard.type('x = ');
    assert.match(await ghost(page), /^nothing_else/);
    assert.ok(asked.some(name => name.startsWith('remoteEntry')));
    assert.deepEqual(local(), []);
  });

  test('uses the browser engine if the setting says so', async () => {
    await lab.put('lab/api/settings/jupyter-turbopilot:plugin', {
      raw: JSON.stringify({ engine: 'browser', eagerness: 'always' })
    });
    await page.close();
    page = await openFile(browser.context, lab, 'one.ipynb');
    await editCell(page, 0);
    await clear(page);
    assert.equal(await typeBegun(page), REST);
    // All files except the extension's own model: the page, its worker, the engine, the list.
    const kinds = local()
      .map(name => path.extname(name))
      .sort();
    assert.deepEqual(kinds, ['.js', '.js', '.json', '.wasm']);
  });
});

describe('JupyterLab without the server extension', { timeout: 120_000 }, () => {
  let browser;
  let close;
  let lab;

  before(async () => {
    const flags = ["--ServerApp.jpserver_extensions={'jupyter_turbopilot': False}"];
    ({ lab, browser, close } = await openLab({ loaded: false, flags }));
  });

  after(() => close?.());

  test('reports it and offers the browser engine', async () => {
    const asked = await watch(browser.context);
    writeNotebook(lab, 'one.ipynb', ['']);
    const page = await openFile(browser.context, lab, 'one.ipynb');
    const notice = page.locator('.Toastify__toast', { hasText: 'jupyter server extension enable' });
    await notice.waitFor({ timeout: 30_000 });
    await screenshot(page, 'page-offer');
    assert.deepEqual(
      asked.filter(name => LOCAL.includes(name)),
      []
    );
    await notice.getByRole('button', { name: 'Use Browser Model' }).click();
    await page.locator('.jp-Turbopilot-status[data-condition="ready"]').waitFor({ timeout: 30_000 });
    await editCell(page, 0);
    assert.equal(await typeBegun(page), REST);
    await screenshot(page, 'page-offer-taken');
    await page.close();
  });
});
