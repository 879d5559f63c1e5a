/** Functions with the functions that they call, in a notebook. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { editCell, openFile, openLab, runFirstCell, screenshot, writeNotebook } from './lab.mjs';

const STUB = `%%complete --hierarchical
def sum_of_primes(n):
    """Return the sum of all primes below n.

    >>> sum_of_primes(10)
    17
    """`;

describe('functions that are written together', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let lab;

  before(async () => {
    ({ lab, browser, close } = await openLab());
  });

  after(() => close?.());

  test('a tree grows below the cell, and the next cell holds them, not run', async () => {
    writeNotebook(lab, 'together.ipynb', ['%load_ext jupyter_turbopilot', STUB]);
    const page = await openFile(browser.context, lab, 'together.ipynb');
    await runFirstCell(page);
    await editCell(page, 1);
    await page.keyboard.press('Shift+Enter');
    const tree = page.locator('.jp-Notebook .jp-Cell').nth(1).locator('.jp-OutputArea-output');
    await tree.getByText('sum_of_primes(n)').first().waitFor({ timeout: 60000 });
    await screenshot(page, 'hierarchy-grows');
    const written = page.locator('.jp-Notebook .jp-Cell').nth(2);
    await written.locator('.cm-content').getByText('sum_of_primes').first().waitFor({ timeout: 120000 });
    await screenshot(page, 'hierarchy');
    assert.match(await written.locator('.cm-content').innerText(), /def sum_of_primes\(n\):[\s\S]*return/);
    assert.match(await written.locator('.jp-InputArea-prompt').innerText(), /\[ \]:/);
    await page.evaluate(() =>
      window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })
    );
    await page.waitForTimeout(1500);
    await screenshot(page, 'hierarchy-dark');
    await page.close();
  });
});
