/** Fixes after an error and renames after an edit, in a real notebook with a real kernel, before any model is downloaded. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { contrastOf, inEveryTheme } from './contrast.mjs';
import {
  editCell,
  execute,
  holds,
  openLab,
  runFirstCell,
  screenshot,
  setCells,
  textOf,
  writeNotebook
} from './lab.mjs';
import { OFFER, openOffers } from './offers.mjs';

const DEFINED = 'revenue_eur = {"north": 1, "south": 2}';
const FAILING = 'print(revenu_eur)';
const FIXED = 'print(revenue_eur)';

describe('fixes and renames', { timeout: 300_000 }, () => {
  let button;
  let cellAt;
  let close;
  let gone;
  let offer;
  let page;
  let requests;
  let sent;

  before(async () => {
    ({ page, requests, close, cellAt, offer, button, gone, sent } = await openOffers('fixes.ipynb', [
      'fix',
      'rename',
      'feedback'
    ]));
  });

  beforeEach(() => void (requests.length = 0));

  after(() => close?.());

  /** Run a cell and keep it active. */
  async function run(index) {
    const cell = await editCell(page, index);
    await page.keyboard.press('Control+Enter');
    await page.waitForFunction(
      index => {
        const { content } = window.jupyterapp.shell.currentWidget;
        const { model } = content.widgets[index];
        return model.executionState === 'idle' && model.executionCount !== null;
      },
      index,
      { timeout: 60_000 }
    );
    return cell;
  }

  /** Show the fix of a misspelled name. */
  async function failed(cells = [DEFINED, FAILING]) {
    await setCells(page, cells);
    for (let index = 0; index < cells.length - 1; index++) {
      await run(index);
    }
    const cell = await run(cells.length - 1);
    await offer().waitFor({ timeout: 20_000 });
    return cell;
  }

  test('a misspelled name is corrected with one keystroke and one undo step', async () => {
    const cell = await failed();
    assert.match(await offer().innerText(), /NameError: Did you mean 'revenue_eur'\?/);
    assert.equal(await offer().locator('ins').innerText(), 'revenue_eur');
    assert.equal(await offer().locator('del').innerText(), 'revenu_eur');
    const [above, below] = await Promise.all([
      offer().boundingBox(),
      cell.locator('.jp-OutputArea').boundingBox()
    ]);
    assert.ok(above.y + above.height <= below.y, 'the offer is above the traceback');
    await screenshot(page, 'fix');
    const heard = await page.locator('.jp-Turbopilot-live > div').last().textContent();
    assert.match(heard, /Did you mean 'revenue_eur'\? Press Alt\+\. to apply\./);
    assert.equal(await page.locator('.jp-Turbopilot-state').innerText(), '1 fix: Alt+.');
    await page.keyboard.press('Alt+.');
    await holds(cell, FIXED);
    await page.locator('.jp-Turbopilot-state', { hasText: 'no model' }).waitFor();
    await cell.locator('.cm-content').click();
    await page.keyboard.press('Control+z');
    await holds(cell, FAILING);
    await gone();
    const { id } = sent('feedback').at(-1);
    assert.deepEqual(
      sent('feedback').map(({ event }) => event),
      ['shown', 'applied']
    );
    assert.ok(sent('feedback').every(feedback => feedback.id === id));
    assert.equal(sent('fix').length, 1);
  });

  test('the shortcut does nothing special without an offer', async () => {
    await setCells(page, ['']);
    await editCell(page, 0);
    // In place before the key is sent: keys and scripts reach the page by different ways.
    await page.evaluate(() => {
      window.prevented = new Promise(resolve =>
        window.addEventListener(
          'keydown',
          event => event.key === '.' && setTimeout(() => resolve(event.defaultPrevented))
        )
      );
    });
    await page.keyboard.press('Alt+.');
    assert.equal(await page.evaluate(() => window.prevented), false);
  });

  test('a fix is applied and run', async () => {
    const cell = await failed();
    await button('Apply and Run').click();
    await holds(cell, FIXED);
    await cell.locator('.jp-OutputArea-output', { hasText: "{'north': 1, 'south': 2}" }).waitFor();
    await gone();
  });

  test('after a fix, the same keystroke runs the cell, as its old error says', async () => {
    const cell = await failed();
    await page.keyboard.press('Alt+.');
    await holds(cell, FIXED);
    const question = 'The error is from the old code. Run the cell again?';
    assert.match(await offer().innerText(), new RegExp(question.replaceAll(/[.?]/g, '\\$&')));
    assert.deepEqual(await offer().locator('button').allInnerTexts(), ['Run Cell', 'Undo', 'Dismiss']);
    await page.locator('.jp-Turbopilot-live', { hasText: `${question} Press Alt+. to run.` }).waitFor({
      state: 'attached'
    });
    await screenshot(page, 'fix-applied');
    await editCell(page, 0);
    await page.keyboard.press('Alt+.');
    await cell.locator('.jp-OutputArea-output', { hasText: "{'north': 1, 'south': 2}" }).waitFor();
    await gone();
    assert.equal(await textOf(cell), FIXED);
    await page.keyboard.type('# x'); // the user was editing another cell: this is no command
    await holds(page.locator('.jp-CodeCell').first(), `${DEFINED}# x`);
  });

  /** Fail with a traceback that fills the window, below a long cell; press `keys` before the offer is there. */
  async function failBelow(keys) {
    const lines = Array.from({ length: 60 }, (_, index) => `# ${index}`);
    const deep = `def f(n):\n    return f(n - 1) if n else 1 / 0\n${DEFINED}`;
    await setCells(page, [deep, lines.join('\n'), 'try:\n    f(12)\nfinally:\n    print(revenu_eur)']);
    await run(0);
    await editCell(page, 2);
    let answer;
    const held = new Promise(resolve => (answer = resolve));
    await page.route('**/turbopilot/fix*', async route => {
      const response = await route.fetch();
      await held;
      await route.fulfill({ response });
    });
    await page.keyboard.press('Shift+Enter');
    await cellAt(2).locator('.jp-OutputArea-output', { hasText: 'NameError' }).waitFor();
    await page.keyboard.press('Control+End');
    for (const key of keys) {
      await page.keyboard.press(key);
    }
    await page.evaluate(() => {
      const { node } = window.jupyterapp.shell.currentWidget.content;
      const scroller = node.querySelector('.jp-WindowedPanel-outer');
      scroller.scrollTop = scroller.scrollHeight;
    });
    await page.waitForTimeout(300);
    answer();
    await offer().waitFor({ state: 'attached' });
    await page.waitForTimeout(700);
    await page.unroute('**/turbopilot/fix*');
    const [shown, window] = await Promise.all([
      offer().boundingBox(),
      page.locator('.jp-WindowedPanel-outer').boundingBox()
    ]);
    assert.equal(await page.locator('.jp-Turbopilot-state').innerText(), '1 fix: Alt+.');
    return shown.y >= window.y - 1 && shown.y + shown.height <= window.y + window.height + 1;
  }

  test('an offer above a long traceback scrolls into view', async () => {
    assert.equal(await failBelow([]), true);
    await screenshot(page, 'fix-scrolled');
  });

  test('an offer does not scroll while the user types', async () => {
    assert.equal(await failBelow(['x', '=', '1']), false);
    await screenshot(page, 'fix-not-scrolled');
  });

  test('the name in the status item is cut without a gap', async () => {
    const cut = [];
    for (const width of [720, 700, 680, 660, 640]) {
      await page.setViewportSize({ width, height: 400 });
      await page.waitForTimeout(500);
      const { gap, isBelow, isCut } = await page.evaluate(() => {
        document.querySelector('.jp-Turbopilot-state').textContent = 'off (this notebook)';
        const [dot, name] = ['dot', 'name'].map(part => document.querySelector(`.jp-Turbopilot-${part}`));
        const first = document.createRange();
        first.setStart(name.firstChild, 0);
        first.setEnd(name.firstChild, 1);
        const [letter, box] = [first, dot].map(each => each.getBoundingClientRect());
        const isCut = name.scrollHeight > name.clientHeight + 1;
        return { gap: letter.left - box.right, isBelow: letter.top > box.bottom, isCut };
      });
      assert.ok(gap < 8 && !isBelow, `${width} pixels: ${gap}`);
      if (isCut) {
        cut.push(width);
        await screenshot(page, `status-cut-${width}`);
      }
    }
    assert.ok(cut.length > 0);
    await page.setViewportSize({ width: 1180, height: 760 });
  });

  test('a click keeps the focus in the editor', async () => {
    const cell = await failed();
    await editCell(page, 1);
    await button('Apply').click();
    await holds(cell, FIXED);
    await page.keyboard.type(';');
    await holds(cell, `${FIXED};`);
    await gone();
  });

  test('the buttons are reached and pressed with the keyboard', async () => {
    const cell = await failed();
    await button('Apply').focus();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Shift+Tab');
    const outline = await button('Apply').evaluate(node => window.getComputedStyle(node).outlineStyle);
    assert.equal(outline, 'solid');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Dismiss');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await holds(cell, FIXED);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Run Cell');
    await page.keyboard.press('Enter');
    await gone();
    assert.ok(await page.evaluate(() => document.activeElement.closest('.jp-Notebook') !== null));
  });

  test('an offer is removed by an edit of its text, a new run and cleared outputs', async () => {
    const cell = await failed();
    await execute(page, 'notebook:clear-cell-output');
    await gone();
    await run(1);
    await offer().waitFor();
    await editCell(page, 1);
    await page.keyboard.type('  # printed');
    await page.waitForTimeout(200);
    assert.equal(await offer().count(), 1, 'an edit elsewhere does not remove it');
    await page.keyboard.press('Home');
    await page.keyboard.type('x = 1; ');
    await page.keyboard.press('Alt+.');
    await holds(cell, `x = 1; ${FIXED}  # printed`);
    await setCells(page, [DEFINED, FAILING]);
    await run(0);
    await run(1);
    await offer().waitFor();
    await editCell(page, 1);
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Backspace');
    await gone();
  });

  test('a notebook that never fails sends no requests', async () => {
    await setCells(page, ['amount = 1', 'total = amount + 1']);
    await run(0);
    await run(1);
    await editCell(page, 1);
    await page.keyboard.type('\nprint(total)  # a comment', { delay: 20 });
    await page.waitForTimeout(800);
    await page.keyboard.type(' that grows', { delay: 20 });
    await page.waitForTimeout(800);
    assert.deepEqual(requests, []);
  });

  test('a renamed variable is renamed in three cells, and its cell is offered to be run', async () => {
    await setCells(page, ['revenue = 3', 'double = revenue * 2', 'print(revenue, "revenue")\nrevenue']);
    for (const index of [0, 1, 2]) {
      await run(index);
    }
    await editCell(page, 0);
    await page.keyboard.press('Home');
    await page.keyboard.press('Control+ArrowRight');
    await page.keyboard.type('_eur', { delay: 40 });
    await offer().waitFor({ timeout: 10_000 });
    assert.match(await offer().innerText(), /Rename 3 uses of '.+' to '.+_eur' in 2 cells/);
    assert.equal(sent('rename').length, 1);
    await page.keyboard.press('x');
    await gone();
    await page.keyboard.press('Backspace');
    await offer().waitFor({ timeout: 10_000 });
    await offer().locator('summary').click();
    await screenshot(page, 'rename');
    await editCell(page, 0);
    await page.keyboard.press('Alt+.');
    await holds(cellAt(1), 'double = revenue_eur * 2');
    await holds(cellAt(2), 'print(revenue_eur, "revenue")\nrevenue_eur');
    await screenshot(page, 'rename-run');
    await run(0);
    await gone();
    // One step in any of the cells undoes all of it.
    const sources = () => Promise.all([0, 1, 2].map(index => textOf(cellAt(index))));
    const renamed = await sources();
    await editCell(page, 2);
    await page.keyboard.press('Control+z');
    await holds(cellAt(1), 'double = revenue * 2');
    await page.keyboard.press('Control+Shift+z');
    await holds(cellAt(1), renamed[1]);
    assert.deepEqual(await sources(), renamed);
    await editCell(page, 1);
    await page.keyboard.type('  # changed');
    await editCell(page, 2);
    await page.keyboard.press('Control+z');
    const toast = page.locator('.Toastify__toast', { hasText: 'has changed. Nothing undone' });
    await toast.waitFor();
    await screenshot(page, 'rename-not-undone');
    assert.deepEqual(await sources(), [renamed[0], `${renamed[1]}  # changed`, renamed[2]]);
  });

  test('further fixes are shown one after the other, and a cell to insert is not run', async () => {
    const fixes = [
      { title: 'Run the cell that defines total?', edits: [], insert: null, run: [0, 1] },
      {
        title: 'Add a cell that installs it?',
        edits: [],
        insert: { before: 1, source: '%pip install it' },
        run: []
      }
    ].map(fix => ({ source: 'notebook', confidence: 0.9, ...fix }));
    await page.route('**/turbopilot/fix*', route => route.fulfill({ json: { id: 'fix-0', fixes } }));
    await setCells(page, ['one = 1', 'print(one)\n1 / 0']);
    await run(1);
    await offer().waitFor();
    const labels = () => offer().locator('.jp-Turbopilot-offer-buttons button').allInnerTexts();
    assert.deepEqual(await labels(), ['Run Cells', 'Next (1 of 2)', 'Dismiss']);
    // The cell that would be run is shown, as text and up to date.
    const shown = offer().locator('.jp-Turbopilot-offer-run code');
    assert.equal(await shown.innerText(), 'one = 1');
    assert.equal(await cellAt(0).evaluate(node => node.matches('.jp-mod-turbopilot-toRun')), true);
    await editCell(page, 0);
    await page.keyboard.press('Control+Home');
    await page.keyboard.type('# <b>first</b>\n');
    await offer().getByText('# <b>first</b> …').waitFor();
    await button('Cell 1').click();
    await screenshot(page, 'fix-cells-to-run');
    await page.keyboard.press('Alt+.');
    await page.waitForFunction(() => !document.querySelector('.jp-mod-turbopilot-toRun'));
    await cellAt(1).locator('.jp-OutputArea-output', { hasText: 'ZeroDivisionError' }).waitFor();
    await offer().waitFor();
    await button('Next (1 of 2)').press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Next (2 of 2)');
    assert.deepEqual(await labels(), ['Apply', 'Next (2 of 2)', 'Dismiss']);
    await screenshot(page, 'fix-install');
    await button('Apply').press('Enter');
    await holds(cellAt(1), '%pip install it');
    assert.equal(await cellAt(1).locator('.jp-InputPrompt').innerText(), '[ ]:');
    await page.keyboard.press('z');
    await page.waitForFunction(() => window.jupyterapp.shell.currentWidget.content.widgets.length === 2);
    await page.unroute('**/turbopilot/fix*');
  });

  test('offers are legible in every theme', async () => {
    await failed();
    await inEveryTheme(page, 'fix', async theme => {
      for (const part of ['.jp-Turbopilot-offer-title', 'del', 'ins']) {
        const contrast = await contrastOf(offer().locator(part).first());
        assert.ok(contrast >= 4.5, `${theme}, ${part}: ${contrast.toFixed(2)}`);
      }
    });
  });

  test('the off switches and the setting prevent requests', async () => {
    await failed();
    await execute(page, 'turbopilot:stop');
    await gone();
    requests.length = 0;
    await run(1);
    await page.waitForTimeout(800);
    assert.deepEqual(sent('fix'), []);
    await execute(page, 'turbopilot:stop');
    await run(1);
    await offer().waitFor();
    await execute(page, 'settingeditor:open', { query: 'Turbopilot' });
    await page.locator('[id$="_suggestFixes"]').uncheck();
    await gone();
    await page.locator('.lm-TabBar-tab', { hasText: 'fixes.ipynb' }).click();
    requests.length = 0;
    await run(1);
    await page.waitForTimeout(800);
    assert.deepEqual(sent('fix'), []);
  });
});

describe('fixes in Notebook 7', { timeout: 120_000 }, () => {
  test('are applied with the same keystroke', async () => {
    const { lab, browser, close } = await openLab({
      app: 'notebook',
      loaded: false,
      flags: ['--JupyterNotebookApp.expose_app_in_browser=True']
    });
    try {
      writeNotebook(lab, 'seven.ipynb', [`${DEFINED}\n${FAILING}`]);
      const page = await browser.context.newPage();
      await page.goto(`${lab.url}/notebooks/seven.ipynb?token=${lab.token}`);
      await page.waitForSelector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', { timeout: 60_000 });
      await runFirstCell(page);
      await page.locator(OFFER).waitFor({ timeout: 20_000 });
      await screenshot(page, 'fix-notebook-7');
      await page.keyboard.press('Alt+.');
      await holds(page.locator('.jp-Notebook .jp-Cell').first(), `${DEFINED}\n${FIXED}`);
    } finally {
      await close();
    }
  });
});
