/** A suggestion adds its import, in a notebook whose kernel finds the module. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { contrastOf, inEveryTheme } from './contrast.mjs';
import {
  editCell,
  ghost,
  holds,
  openFile,
  openLab,
  screenshot,
  setCells,
  textOf,
  writeNotebook
} from './lab.mjs';

const NAME = 'imports.ipynb';
const LINE = 'import seaborn as sns';
const TABLE = 'table = [[1, 2], [3, 4]]';

describe('imports of a suggestion', { timeout: 300_000 }, () => {
  let close;
  let lab;
  let browser;
  let page;

  before(async () => {
    ({ lab, browser, close } = await openLab({
      says: 'sns.heatmap(table)',
      settings: { 'jupyter-turbopilot:plugin': { announce: true } }
    }));
    // The notebook's kernel finds this module, the server does not.
    writeFileSync(path.join(lab.work, 'seaborn.py'), '');
    writeNotebook(lab, NAME, ['']);
    page = await openFile(browser.context, lab, NAME);
    await knowsKernel();
  });

  after(() => close?.());

  /** Wait until the server knows which modules the notebook's kernel can import. */
  async function knowsKernel() {
    for (let tries = 0; tries < 100; tries++) {
      const session = (await lab.get('api/sessions')).find(({ path }) => path === NAME);
      const answer = await fetch(`${lab.url}/turbopilot/complete`, {
        method: 'POST',
        headers: { Authorization: `token ${lab.token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({
          path: NAME,
          kernel_id: session?.kernel.id,
          cells: [{ source: 'v = ' }],
          offset: 4
        })
      });
      if ((await answer.json()).items?.[0]?.imports) {
        return;
      }
      await new Promise(resolve => setTimeout(resolve, 100));
    }
    throw new Error('The server does not know the kernel.');
  }

  /** Type at the end of the last of these cells. */
  async function typed(cells, text) {
    await setCells(page, cells);
    const cell = await editCell(page, cells.length - 1);
    await page.keyboard.type(text, { delay: 60 });
    await holds(cell, cells.at(-1) + text);
    return cell;
  }

  const noteIn = () =>
    page
      .locator('.cm-line:has(.jp-GhostText)')
      .evaluate(node => window.getComputedStyle(node, '::after').content);

  test('are added to typed text, in a kernel without executions', async () => {
    const cell = await typed([`${TABLE}\naxes =`], ' sns.');
    assert.equal(await ghost(page), 'heatmap(table)');
    assert.equal(await noteIn(), `"adds ${LINE}"`);
    await screenshot(page, 'import-note');
    await page.keyboard.press('Tab');
    await holds(cell, `${LINE}\n${TABLE}\naxes = sns.heatmap(table)`);
    await page.keyboard.press('Control+z');
    await holds(cell, `${TABLE}\naxes = sns.`);
  });

  test('are legible in every theme, as is their note', async () => {
    await typed([`${TABLE}\naxes =`], ' ');
    await inEveryTheme(page, 'import-note', async theme => {
      assert.equal(await ghost(page), 'sns.heatmap(table)');
      const text = await contrastOf(page.locator('.jp-GhostText').first());
      const note = await contrastOf(page.locator('.cm-line:has(.jp-GhostText)'), '::after');
      const message = `${theme}: ghost text ${text.toFixed(2)}, note ${note.toFixed(2)}`;
      assert.ok(text >= 4.5 && note >= 4.5, message); // what WCAG AA asks of text
      // It remains distinguishable from the code.
      assert.ok(text <= 7, message);
    });
  });

  test('are scrolled into view with ghost text and note, unless the user scrolls', async () => {
    const long = Array.from({ length: 60 }, (_, index) => `v_${index} = ${index}`).join('\n');
    const text = Array.from({ length: 6 }, () => 'sns.heatmap(table)').join('\n');
    let answer;
    let allowed;
    await page.route('**/turbopilot/complete*', async route => {
      await allowed;
      const frame = { id: 'a', text, imports: [LINE], done: true, timings: { total_ms: 1 } };
      await route.fulfill({ contentType: 'application/x-ndjson', body: `${JSON.stringify(frame)}\n` });
    });
    await setCells(page, [long, 'axes =', long]);
    const outer = page.locator('.jp-Notebook .jp-WindowedPanel-outer');
    const below = () =>
      outer.evaluate(node => {
        const line = node.querySelector('.cm-line:has(.jp-GhostText)').getBoundingClientRect();
        return Math.ceil(line.bottom - node.getBoundingClientRect().top - node.clientHeight);
      });
    const ask = async before => {
      await editCell(page, 1);
      await page.waitForTimeout(600);
      const cell = page.locator('.jp-Notebook .jp-Cell').nth(1);
      const { y, height } = await cell.boundingBox();
      const bottom = await outer.evaluate(node => node.getBoundingClientRect().top + node.clientHeight);
      await outer.evaluate((node, by) => (node.scrollTop += by), y + height - bottom);
      allowed = new Promise(resolve => (answer = resolve));
      await page.keyboard.press('Alt+\\');
      await before();
      await page.waitForTimeout(200);
      answer();
      assert.equal(await ghost(page), text);
    };
    await ask(async () => undefined);
    assert.ok((await below()) <= 0);
    assert.equal(await noteIn(), `"adds ${LINE}"`);
    await screenshot(page, 'import-bottom');
    await page.keyboard.press('Escape');
    await ask(async () => {
      const { x, y } = await outer.boundingBox();
      await page.mouse.move(x + 300, y + 100);
      const top = await outer.evaluate(node => node.scrollTop);
      await page.mouse.wheel(0, -5);
      while ((await outer.evaluate(node => node.scrollTop)) === top) {
        await page.waitForTimeout(20);
      }
    });
    assert.ok((await below()) > 50);
    await page.unroute('**/turbopilot/complete*');
  });

  test('are added with the part that uses the name, and the suggestion continues', async () => {
    const cell = await typed([TABLE, 'axes ='], ' ');
    assert.equal(await ghost(page), 'sns.heatmap(table)');
    assert.equal(await noteIn(), `"adds ${LINE}"`);
    const received = page.locator('.jp-Turbopilot-live > div');
    assert.equal(await received.last().textContent(), `Suggestion (adds ${LINE}): sns.heatmap(table)`);
    await page.keyboard.press('Control+ArrowRight');
    assert.equal(await ghost(page), '.heatmap(table)');
    assert.deepEqual((await received.allTextContents()).slice(-2), [
      `Added above: ${LINE}`,
      'Suggestion: .heatmap(table)'
    ]);
    assert.equal(await textOf(cell), `${LINE}\naxes = sns`);
    assert.equal(await noteIn(), 'none');
    await screenshot(page, 'import-part');
    await page.keyboard.press('Tab');
    await holds(cell, `${LINE}\naxes = sns.heatmap(table)`);
    await page.keyboard.press('Control+z');
    await page.keyboard.press('Control+z');
    await holds(cell, 'axes = ');
  });
});
