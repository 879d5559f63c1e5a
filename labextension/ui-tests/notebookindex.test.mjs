/** The notebook index: its notification, its suggestions from closed notebooks, the setting, and its deletion. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  editCell,
  execute,
  GHOST,
  ghost,
  openFile,
  openLab,
  saveNotebook,
  screenshot,
  showsStatus
} from './lab.mjs';

const LINE = 'frobnicated_ledger = sorted(range(2026), reverse=True)';
const BEGUN = 'frobnicated_';

describe('notebook index', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let lab;
  let page;

  const notice = () => page.locator('.Toastify__toast', { hasText: 'also uses your notebooks' });
  const memory = async () => (await lab.get('turbopilot/health')).notebook_index;

  async function until(files) {
    for (let tries = 0; ; tries++) {
      const now = await memory();
      if (now?.files === files && !now.building) {
        return now;
      }
      assert.ok(tries < 120, JSON.stringify(now));
      await page?.waitForTimeout(250);
    }
  }

  /** Type the beginning of the line into an empty cell; return the ghost text. */
  async function typed(cell) {
    await editCell(page, cell);
    await page.keyboard.type(BEGUN, { delay: 60 });
    return ghost(page, { timeout: 5000 }).catch(() => '');
  }

  before(async () => {
    ({ lab, browser, close } = await openLab({
      memory: true,
      says: 'nothing_of_the_kind',
      flags: ['--Turbopilot.kernel_context=False']
    }));
    await saveNotebook(lab, 'closed.ipynb', [
      `accounts = []\n${LINE}`,
      `for year in range(3):\n    accounts.append(year)\n${LINE}`
    ]);
    await saveNotebook(lab, 'older.ipynb', [`accounts = [1]\n${LINE}`]);
    await saveNotebook(lab, 'open.ipynb', [
      'accounts = []',
      'accounts = []\n',
      'accounts = []\n',
      'accounts = []\n',
      ''
    ]);
    page = await openFile(browser.context, lab, 'open.ipynb');
  });

  after(() => close?.());

  test('a notification after the first accepted suggestion appears once, and its dialog shows the location of the index', async () => {
    await until(4); // with the demonstration's
    assert.notEqual(await typed(4), '');
    assert.equal(await notice().count(), 0);
    await page.keyboard.press('Tab');
    await notice().waitFor();
    assert.match(await notice().innerText(), /Their index stays on the server/);
    const { path: place } = await memory();
    assert.ok(place.startsWith(path.join(lab.home, 'data')));
    await screenshot(page, 'memory-notice');
    await notice().getByRole('button', { name: 'More…' }).click();
    const dialog = page.locator('.jp-Dialog');
    await dialog.waitFor();
    assert.ok((await dialog.innerText()).includes(place));
    await screenshot(page, 'memory-more');
    await dialog.getByRole('button', { name: 'Stop Using the Index' }).waitFor();
    await page.keyboard.press('Enter');
    await notice().waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.activeElement.closest('.jp-Notebook'));
    await page.evaluate(() => window.localStorage.clear()); // as in another browser
    await page.close();
    page = await openFile(browser.context, lab, 'open.ipynb', { reset: false });
    await showsStatus(page, 'ready');
    assert.notEqual(await typed(4), '');
    await page.keyboard.press('Tab');
    await page.waitForTimeout(500);
    assert.equal(await notice().count(), 0);
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
  });

  test('lines of closed notebooks are suggested until these are deleted', async () => {
    assert.equal(await typed(1), LINE.slice(BEGUN.length));
    await screenshot(page, 'memory-line');
    await page.keyboard.press('Escape');
    rmSync(path.join(lab.work, 'closed.ipynb'));
    rmSync(path.join(lab.work, 'older.ipynb'));
    await page.keyboard.press('Control+z');
    for (const cell of [1, 2]) {
      let shown = await typed(cell);
      for (let tries = 0; tries < 3 && shown === LINE.slice(BEGUN.length); tries++) {
        // The server does not wait for a slow disk.
        await page.keyboard.press('Escape');
        await page.keyboard.press('Control+a');
        await page.keyboard.press('Delete');
        shown = await typed(cell);
      }
      assert.notEqual(shown, LINE.slice(BEGUN.length), `cell ${cell}`);
      await page.keyboard.press('Escape');
    }
  });

  test('nothing comes from the index while the setting is disabled', async () => {
    await saveNotebook(lab, 'closed.ipynb', [`accounts = []\n${LINE}`, `print(accounts)\n${LINE}`]);
    await saveNotebook(lab, 'older.ipynb', [`accounts = [1]\n${LINE}`]);
    const asked = () =>
      page
        .waitForRequest(request => request.url().includes('turbopilot/complete'))
        .then(request => request.postDataJSON().notebook_index);
    await execute(page, 'turbopilot:open-settings');
    const setting = page.getByText('Suggest from my notebooks', { exact: true });
    await setting.waitFor({ timeout: 30000 });
    await setting.scrollIntoViewIfNeeded();
    await screenshot(page, 'memory-setting');
    await execute(page, 'turbopilot:notebook-index');
    await page.evaluate(() =>
      window.jupyterapp.shell.activateById(
        [...window.jupyterapp.shell.widgets('main')].find(one => one.title.label === 'open.ipynb').id
      )
    );
    const request = asked();
    assert.notEqual(await typed(3), LINE.slice(BEGUN.length));
    assert.equal(await request, false);
    assert.equal(await page.locator(GHOST, { hasText: 'ledger' }).count(), 0);
  });

  test('Delete Index empties the index until the setting is enabled again', async () => {
    const isUsed = () =>
      page.evaluate(() => window.jupyterapp.commands.isToggled('turbopilot:notebook-index'));
    await execute(page, 'turbopilot:notebook-index');
    await until(4);
    assert.equal(await isUsed(), true);
    void execute(page, 'turbopilot:delete-index'); // it waits for the dialog
    const dialog = page.locator('.jp-Dialog');
    await dialog.waitFor();
    assert.ok((await dialog.innerText()).includes(lab.work));
    await screenshot(page, 'memory-delete');
    await dialog.getByRole('button', { name: 'Delete Index' }).click();
    await page.locator('.jp-Turbopilot-status[title*="it was deleted in JupyterLab"]').waitFor();
    assert.equal((await memory()).files, 0);
    assert.equal(await isUsed(), false);
    await execute(page, 'turbopilot:notebook-index');
    await until(4);
    assert.equal(await isUsed(), true);
  });
});
