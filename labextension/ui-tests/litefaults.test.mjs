/** A JupyterLite site whose page loses its storage, worker, cell or focus. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { editCell, execute, GHOST, ghost, screenshot } from './lab.mjs';
import { BEGUN, openLite, REST, STATIC, typeBegun } from './site.mjs';

const MODEL = `${STATIC}rectangles.gguf`;

describe('failures in a JupyterLite site', { timeout: 120_000 }, () => {
  let errors;
  let lite;
  let page;
  let site;

  before(async () => {
    lite = await openLite();
    site = await lite.serve();
    ({ page, errors } = await edit(await lite.open(site)));
  });

  after(() => lite?.close());

  /** Edit a page's first cell, and collect the page's errors. */
  async function edit(opened) {
    const wrong = [];
    // The kernel's runtime is on another host, which is not available.
    opened.on('pageerror', ({ message }) => message.includes('pyodide') || wrong.push(message));
    await editCell(opened, 0);
    return { page: opened, errors: wrong };
  }

  async function empty(where) {
    await where.keyboard.press('Control+a');
    await where.keyboard.press('Delete');
  }

  async function completesAgain(where) {
    await empty(where);
    assert.equal(await typeBegun(where), REST);
  }

  const fetched = () => site.asked.filter(name => name === MODEL).length;

  test('two tabs complete at the same time with one downloaded file', async () => {
    await completesAgain(page);
    const other = await lite.open(site, 'edit/index.html?path=shapes.py');
    await other.locator('.jp-FileEditor .cm-content').click({ timeout: 60_000 });
    await Promise.all([completesAgain(page), completesAgain(other)]);
    await Promise.all([completesAgain(page), completesAgain(other)]);
    assert.equal(fetched(), 1);
    await other.close();
  });

  test('a tab that was in the background shows ghost text', async () => {
    const hide = hidden =>
      page.evaluate(value => {
        Object.defineProperty(document, 'hidden', { configurable: true, value });
        document.dispatchEvent(new window.Event('visibilitychange'));
      }, hidden);
    await empty(page);
    await page.keyboard.insertText(BEGUN.slice(0, -1));
    await page.keyboard.type(BEGUN.at(-1));
    await hide(true);
    await page.waitForTimeout(1000);
    await hide(false);
    assert.equal(await ghost(page), REST);
    await completesAgain(page);
  });

  test('a cell is deleted during a generation', async () => {
    await execute(page, 'notebook:insert-cell-below');
    await editCell(page, 1);
    await page.keyboard.insertText('for row in ro');
    await page.keyboard.type('ws');
    await execute(page, 'notebook:delete-cell');
    await page.waitForTimeout(500);
    assert.equal(await page.locator('.jp-Notebook .jp-Cell').count(), 1);
    assert.equal(await page.locator(GHOST).count(), 0);
    await editCell(page, 0);
    await completesAgain(page);
    assert.deepEqual(errors, []);
  });

  test('completion continues after the storage is cleared; the next page downloads the model again', async () => {
    const left = await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      await root.removeEntry('jupyter-turbopilot', { recursive: true });
      return (await Array.fromAsync(root.keys())).length;
    });
    assert.equal(left, 0);
    await completesAgain(page);
    assert.equal(fetched(), 1);
    await page.close();
    ({ page, errors } = await edit(await lite.open(site)));
    await completesAgain(page);
    assert.equal(fetched(), 2);
  });

  test('the setting “server” without a server is reported, with the browser as an alternative', async () => {
    await execute(page, 'settingeditor:open', { query: 'Turbopilot' });
    await page.locator('select[id*="engine"]').selectOption({ label: 'server' });
    const notice = page.locator('.Toastify__toast', { hasText: 'No Jupyter server responds' });
    await notice.waitFor({ timeout: 20_000 });
    const status = page.locator('.jp-Turbopilot-status');
    assert.match(await status.getAttribute('title'), /^No Jupyter server responds/);
    await screenshot(page, 'lite-server-wanted');
    await notice.getByRole('button', { name: 'Use Browser Model' }).click();
    await page.locator('.jp-Turbopilot-status[data-condition="ready"]').waitFor();
    assert.match(await status.innerText(), /^Turbopilot:\s*ready$/);
    assert.deepEqual(errors, []);
    await page.close();
  });

  test('no requests are sent to other sites', () => assert.deepEqual(lite.browser.outside, []));
});
