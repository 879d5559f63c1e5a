/** Findings before a cell is run, in a real notebook with a real kernel and pandas. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inEveryTheme } from './contrast.mjs';
import {
  editCell,
  GHOST,
  holds,
  openFile,
  openLab,
  runFirstCell,
  screenshot,
  setCells,
  writeNotebook
} from './lab.mjs';
import { openOffers } from './offers.mjs';

const SETUP = 'import pandas as pd\norders = pd.DataFrame({"unit_price": [1.5], "quantity": [2]})';
const WRONG = 'orders["unit_prise"].mean()';
const RIGHT = 'orders["unit_price"].mean()';
const MARK = '.jp-Turbopilot-finding';

/** Wait until the cell has been checked, and return how many names are marked. */
async function countAfterCheck(page) {
  await page.waitForResponse(/turbopilot\/check/, { timeout: 20_000 });
  await page.waitForTimeout(300);
  return page.locator(MARK).count();
}

describe('findings before a run', { timeout: 300_000 }, () => {
  let cellAt;
  let close;
  let gone;
  let offer;
  let page;
  let sent;

  before(async () => {
    ({ page, close, cellAt, gone, offer, sent } = await openOffers('check.ipynb', ['check', 'feedback']));
  });

  after(() => close?.());

  /** Run the first cell, and type in the second one. */
  async function typeIn(text) {
    await setCells(page, [SETUP, '']);
    await runFirstCell(page);
    await editCell(page, 1);
    await page.keyboard.type(text, { delay: 20 });
    return cellAt(1);
  }

  const announced = () => page.locator('.jp-Turbopilot-live > div').allTextContents();

  test('a misspelled column is marked once the cursor has left its line, and corrected', async () => {
    const cell = await typeIn(WRONG);
    await page.keyboard.press('Enter');
    const mark = page.locator(MARK);
    await mark.waitFor({ timeout: 20_000 });
    assert.equal(await mark.innerText(), 'unit_prise');
    await offer().waitFor();
    await mark.hover();
    const tooltip = page.locator('.cm-tooltip .jp-Turbopilot-finding-message');
    await tooltip.waitFor();
    assert.equal(
      await tooltip.innerText(),
      "orders has no column unit_prise. Did you mean 'unit_price'? Press Alt+. to apply."
    );
    await screenshot(page, 'check');
    const heard = (await announced()).filter(text => text.includes('unit_prise'));
    assert.deepEqual(heard, [await tooltip.innerText()]);
    await page.keyboard.press('Alt+.');
    await holds(cell, `${RIGHT}\n`);
    await gone();
    await mark.waitFor({ state: 'detached' });
    assert.deepEqual(
      sent('feedback').map(({ event }) => event),
      ['shown', 'applied']
    );
    await page.keyboard.press('Control+z');
    await holds(cell, `${WRONG}\n`);
  });

  test('the notebook scrolls to an offer below the window, while the cursor stays in view', async () => {
    const filler = Array.from({ length: 12 }, (_, index) => `value_${index} = ${index}`).join('\n');
    await setCells(page, [SETUP, filler, '', filler, filler]);
    await runFirstCell(page);
    const cell = await editCell(page, 2);
    const height = 760;
    // The last line of the cell is at the lower end of the window.
    const { y } = await cell.boundingBox();
    await page.setViewportSize({ width: 1180, height: Math.round(y + 120) });
    await page.keyboard.type(WRONG, { delay: 20 });
    await page.keyboard.press('Enter');
    await offer().waitFor({ state: 'attached', timeout: 20_000 });
    await page.waitForTimeout(300);
    const { bottom } = await page.locator('.jp-Notebook').evaluate(node => node.getBoundingClientRect());
    const box = await offer().boundingBox();
    assert.ok(box.y + box.height <= bottom + 1, JSON.stringify({ box, bottom }));
    await screenshot(page, 'check-below');
    await page.setViewportSize({ width: 1180, height });
  });

  test('a name is not marked before the cursor has left it', async () => {
    await setCells(page, [SETUP, '']);
    await runFirstCell(page);
    await editCell(page, 1);
    const [response] = await Promise.all([
      page.waitForResponse(/turbopilot\/check/, { timeout: 20_000 }),
      page.keyboard.type('orders["unit_pric', { delay: 20 })
    ]);
    const { findings } = await response.json();
    assert.equal(findings.length, 1);
    await page.waitForTimeout(500);
    assert.equal(await page.locator(MARK).count(), 0);
    assert.equal(await page.locator('.cm-tooltip').count(), 0);
    assert.equal(await offer().count(), 0);
    const { length } = sent('check');
    await page.keyboard.press('End');
    await page.locator(MARK).waitFor();
    await offer().waitFor();
    assert.equal(sent('check').length, length, 'the answer is used');
    await screenshot(page, 'check-left');
  });

  test('a correction that the kernel no longer confirms is not applied', async () => {
    const cell = await typeIn(WRONG);
    await page.keyboard.press('Enter');
    await offer().waitFor({ timeout: 20_000 });
    await page.waitForTimeout(1500); // the check after the pause
    await page.evaluate(async () => {
      const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
      await kernel.requestExecute({ code: 'orders["unit_prise"] = 3', silent: true }).done;
    });
    await page.locator(MARK).waitFor();
    await page.keyboard.press('Alt+.');
    await gone();
    await page.locator(MARK).waitFor({ state: 'detached' });
    await holds(cell, `${WRONG}\n`);
    await page
      .locator('.Toastify__toast', { hasText: 'The kernel does not confirm this problem.' })
      .waitFor();
  });

  test('a mark is legible in every theme, and no second one is at the same place', async () => {
    await typeIn(WRONG);
    const mark = page.locator(MARK);
    await mark.waitFor({ timeout: 20_000 });
    await inEveryTheme(page, 'check', async () => {
      await page.mouse.move(0, 0);
      await mark.hover();
      await page.locator('.cm-tooltip').waitFor();
      await screenshot(
        page,
        `check-tooltip-${await page.locator('body').getAttribute('data-jp-theme-name')}`
      );
    });
    const line = () => mark.evaluate(node => window.getComputedStyle(node).textDecorationStyle);
    const decoration = () => mark.evaluate(node => window.getComputedStyle(node).textDecorationLine);
    assert.deepEqual([await decoration(), await line()], ['underline', 'wavy']);
    await mark.evaluate(node => node.parentElement.classList.add('cm-lintRange'));
    assert.equal(await decoration(), 'none');
    await editCell(page, 1); // a change of the theme may have moved the focus
    await page.keyboard.type(' ');
    await mark.waitFor({ state: 'detached', timeout: 1000 });
  });

  test('a restart of the kernel removes the marks', async () => {
    await typeIn(WRONG);
    const mark = page.locator(MARK);
    await mark.waitFor({ timeout: 20_000 });
    await page.evaluate(async () => {
      const { sessionContext } = window.jupyterapp.shell.currentWidget;
      await sessionContext.restartKernel();
      const { kernel } = sessionContext.session;
      // The kernel may have published its state before the page was connected to it.
      while (kernel.status !== 'idle') {
        void kernel.requestKernelInfo().catch(() => undefined);
        await new Promise(resolve => setTimeout(resolve, 500));
      }
    });
    assert.equal(await mark.count(), 0);
    assert.equal(await countAfterCheck(page), 0);
  });
});

describe('findings beside suggestions', { timeout: 180_000 }, () => {
  test('are not marked in the line of the suggestion while it is visible', async () => {
    const { lab, browser, close } = await openLab({ says: ' + orders' });
    try {
      writeNotebook(lab, 'beside.ipynb', ['orders = 1\ntotal = 2', '']);
      const page = await openFile(browser.context, lab, 'beside.ipynb');
      await runFirstCell(page);
      await editCell(page, 1);
      await page.keyboard.type('x = 1\nprint(totel)\ny = totel', { delay: 20 });
      const lines = () =>
        page
          .locator(MARK)
          .evaluateAll(all => all.map(node => window.getComputedStyle(node).textDecorationLine));
      const show = async expected => {
        for (let tries = 0; tries < 100 && (await lines()).join() !== expected.join(); tries++) {
          await page.waitForTimeout(100);
        }
        assert.deepEqual(await lines(), expected);
      };
      await page.locator(GHOST).waitFor();
      await show(['underline']);
      await page.waitForTimeout(2500); // the check after the pause
      await show(['underline']);
      assert.equal(await page.locator(GHOST).count(), 1);
      await screenshot(page, 'check-beside-suggestion');
      await page.keyboard.press('ArrowUp');
      await show(['underline', 'underline']);
      await page.keyboard.press('End');
      await page.keyboard.press('Alt+\\');
      await show(['none', 'underline']);
      await page.keyboard.press('Escape');
      await show(['underline', 'underline']);
    } finally {
      await close();
    }
  });
});

describe('findings in Notebook 7', { timeout: 120_000 }, () => {
  test('are marked and corrected with the same keystroke', async () => {
    const { lab, browser, close } = await openLab({
      app: 'notebook',
      loaded: false,
      flags: ['--JupyterNotebookApp.expose_app_in_browser=True']
    });
    try {
      writeNotebook(lab, 'seven.ipynb', [SETUP, WRONG]);
      const page = await browser.context.newPage();
      await page.goto(`${lab.url}/notebooks/seven.ipynb?token=${lab.token}`);
      await page.waitForSelector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', { timeout: 60_000 });
      await runFirstCell(page);
      await page.locator(MARK).waitFor({ timeout: 20_000 });
      await screenshot(page, 'check-notebook-7');
      await editCell(page, 1);
      await page.keyboard.press('Alt+.');
      await holds(page.locator('.jp-Notebook .jp-Cell').nth(1), RIGHT);
    } finally {
      await close();
    }
  });
});
