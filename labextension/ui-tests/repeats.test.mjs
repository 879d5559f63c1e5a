/** Repeated edits in a real notebook, before any model is downloaded. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { editCell, holds, screenshot, setCells, textOf } from './lab.mjs';
import { OFFER, openOffers } from './offers.mjs';

const CELLS = ['a = 1', 'print(a)', 'print(a + 1)', 'print(a + 2)', 'print(a + 3)', 'print(a + 4)'];

describe('repeated edits', { timeout: 300_000 }, () => {
  let button;
  let cellAt;
  let close;
  let gone;
  let offer;
  let page;
  let requests;
  let sent;
  /** the argument that is added, another one in each test: a dismissed edit is not offered again */
  let added;
  let tests = 0;

  before(async () => {
    ({ page, requests, close, cellAt, offer, button, gone, sent } = await openOffers('repeats.ipynb', [
      'repeat',
      'feedback'
    ]));
  });

  beforeEach(() => {
    requests.length = 0;
    added = `, key${++tests}=1`;
  });

  after(() => close?.());

  const events = () => sent('feedback').map(({ event }) => event);
  const offered = text => offer().getByText(text).waitFor({ timeout: 10_000 });
  /** Where the cursor is: the index of the cell, and the offset. */
  const cursor = () =>
    page.evaluate(() => {
      const { content } = window.jupyterapp.shell.currentWidget;
      const { editor } = content.activeCell;
      return [content.activeCellIndex, editor.getOffsetAt(editor.getCursorPosition()), editor.hasFocus()];
    });

  /** Add an argument in a cell. */
  async function add(index) {
    const cell = await editCell(page, index);
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.type(added, { delay: 20 });
    return cell;
  }

  /** Make the same edit twice. */
  async function repeated(cells = CELLS) {
    await setCells(page, cells);
    await add(1);
    await add(2);
    await offer().waitFor({ timeout: 10_000 });
  }

  test('the keystroke changes one occurrence after the other, and one undo withdraws the offer', async () => {
    await repeated();
    assert.match(await offer().innerText(), /Change 3 more occurrences\?/);
    assert.equal(sent('repeat').length, 1);
    assert.deepEqual(await offer().locator('.jp-Turbopilot-offer-cell').allInnerTexts(), [
      'Cell 4',
      'Cell 5',
      'Cell 6'
    ]);
    const heard = page.locator('.jp-Turbopilot-live > div');
    assert.match(await heard.last().textContent(), /Change 3 more occurrences\? Press Alt\+\. to apply\./);
    await screenshot(page, 'repeat');
    await page.keyboard.press('Alt+.');
    await holds(cellAt(3), `print(a + 2${added})`);
    await offered('Change 2 more occurrences?');
    assert.equal(await cellAt(3).locator(OFFER).count(), 1);
    assert.deepEqual(await cursor(), [3, `print(a + 2${added}`.length, true]);
    assert.match(await heard.last().textContent(), /Change 2 more occurrences\?/);
    await page.keyboard.press('Alt+.');
    await holds(cellAt(4), `print(a + 3${added})`);
    await offered('Change 1 more occurrence?');
    await page.keyboard.press('Control+z');
    await holds(cellAt(4), CELLS[4]);
    await gone();
    assert.deepEqual(events(), ['shown', 'applied', 'undone']);
    assert.equal(await textOf(cellAt(3)), `print(a + 2${added})`);
    await add(4);
    await page.waitForTimeout(1200);
    assert.equal(await offer().count(), 0, 'an undone edit is not offered again');
  });

  test('Shift changes all occurrences, which one undo in any cell reverts', async () => {
    await repeated();
    await page.keyboard.press('Alt+Shift+.');
    await holds(cellAt(5), `print(a + 4${added})`);
    await offered('Changed 3 occurrences.');
    await screenshot(page, 'repeat-all');
    // First in the cell of the second edit, where the cursor still is.
    for (const undo of [() => undefined, () => editCell(page, 4)]) {
      await undo();
      await page.keyboard.press('Control+z');
      await holds(cellAt(5), 'print(a + 4)');
      await holds(cellAt(3), 'print(a + 2)');
      assert.equal(await textOf(cellAt(2)), `print(a + 1${added})`);
      await page.keyboard.press('Control+Shift+z');
      await holds(cellAt(5), `print(a + 4${added})`);
    }
    await gone();
    assert.deepEqual(events(), ['shown', 'applied', 'undone']);
  });

  test('in command mode, the active cell gets the focus', async () => {
    await setCells(page, CELLS);
    for (const index of [1, 2]) {
      await add(index);
      await page.keyboard.press('Escape');
    }
    await offered('Change 3 more occurrences?');
    const isFocused = index =>
      page.waitForFunction(
        index => document.activeElement === window.jupyterapp.shell.currentWidget.content.widgets[index].node,
        index
      );
    await page.keyboard.press('Alt+.');
    await isFocused(3);
    await button('Apply').click();
    await isFocused(4);
    await page.keyboard.press('Enter');
    await page.keyboard.type('x');
    await holds(cellAt(4), `print(a + 3${added}x)`);
  });

  test('an undo restores the cursor at the change, in a cell without the focus before', async () => {
    await repeated(['a = 1', 'id(a)', 'id(a + 1)', '# first\n# second\nid(a + 2)', 'id(a + 3)']);
    await page.keyboard.press('Alt+.');
    await offered('Change 1 more occurrence?');
    await page.keyboard.press('Control+z');
    await gone();
    assert.deepEqual(await cursor(), [3, '# first\n# second\nid(a + 2'.length, true]);
  });

  test('an undo in all cells does not scroll away from the active cell', async () => {
    const long = Array.from({ length: 60 }, (_, index) => `x${index} = ${index}`).join('\n');
    const cells = ['a = 1', 'id(a)', 'id(a + 1)\nid(a + 2)', long, 'id(a + 3)', long, 'id(a + 4)'];
    const top = () =>
      page.evaluate(
        () => window.jupyterapp.shell.currentWidget.content.activeCell.node.getBoundingClientRect().top
      );
    for (const undo of [() => page.keyboard.press('Control+z'), () => button('Undo').click()]) {
      await repeated(cells);
      const before = await top();
      await page.keyboard.press('Alt+Shift+.');
      await offered('Changed 3 occurrences.');
      await undo();
      await holds(cellAt(4), cells[4]);
      await gone();
      await page.waitForTimeout(300);
      assert.equal(await top(), before);
      added = `, undo${added.slice(2)}`;
    }
  });

  test('the keystroke applies a fix, then a rename, then a repeated edit', async () => {
    await repeated(['revenue_eur = 1', 'str(1)', 'rate = str(2)', 'str(3)', 'id(rate)', 'id(revenu_eur)']);
    await editCell(page, 2);
    await page.keyboard.press('Home');
    await page.keyboard.press('Control+ArrowRight');
    await page.keyboard.type('_pct', { delay: 20 });
    await offered('Rename 1 use');
    for (const index of [0, 5]) {
      await editCell(page, index);
      await page.keyboard.press('Control+Enter');
    }
    await offered("Did you mean 'revenue_eur'?");
    const keys = () =>
      offer()
        .locator('button')
        .evaluateAll(buttons =>
          buttons
            .map(button => window.getComputedStyle(button, '::after').content)
            .filter(content => content !== 'none')
        );
    await screenshot(page, 'offers-fix');
    assert.equal(await offer().count(), 3);
    assert.deepEqual(await keys(), ['"Alt+."']);
    await page.keyboard.press('Alt+.');
    await holds(cellAt(5), 'id(revenue_eur)');
    await offered('The error is from the old code. Run the cell again?');
    assert.deepEqual(await keys(), ['"Alt+."']);
    await page.keyboard.press('Alt+.');
    await cellAt(5).locator(OFFER).waitFor({ state: 'detached' });
    await screenshot(page, 'offers-rename');
    assert.equal(await offer().count(), 2);
    assert.deepEqual(await keys(), ['"Alt+."']);
    await page.keyboard.press('Alt+.');
    await holds(cellAt(4), 'id(rate_pct)');
    await offered('Renamed 1 use.');
    await screenshot(page, 'offers-repeat');
    assert.deepEqual(await keys(), ['"Alt+."']);
    await page.keyboard.press('Alt+.');
    await holds(cellAt(3), `str(3${added})`);
  });

  test('the cell of an occurrence outside of the window is named, and shown when it is changed', async () => {
    const far = Array.from({ length: 80 }, (_, index) => `x${index} = [\n    ${index},\n]`);
    await repeated(['a = 1', 'id(a)', 'id(a + 1)', ...far, 'id(a + 2)']);
    assert.match(await offer().innerText(), /Change 1 more occurrence, in “id\(a \+ 2\)”\?/);
    await screenshot(page, 'repeat-far');
    await page.keyboard.press('Alt+.');
    await page.waitForFunction(() => {
      const { content } = window.jupyterapp.shell.currentWidget;
      const { top } = content.activeCell.node.getBoundingClientRect();
      return content.activeCellIndex === 83 && top > 0 && top < window.innerHeight;
    });
    await gone();
  });

  test('a fix and a rename outside of the window are shown when they are applied', async () => {
    const far = Array.from({ length: 60 }, (_, index) => `x${index} = [\n    ${index},\n]`);
    await setCells(page, ['width = 1', 'id(width)', ...far, 'id(widht)']);
    for (const index of [0, 62]) {
      await editCell(page, index);
      await page.keyboard.press('Control+Enter');
    }
    await offered("Did you mean 'width'?");
    await editCell(page, 0);
    await page.keyboard.press('Home');
    await page.keyboard.press('Control+ArrowRight');
    await page.keyboard.type('_cm', { delay: 20 });
    await cellAt(0).locator(OFFER).waitFor({ timeout: 10_000 });
    const isVisible = index =>
      page.waitForFunction(index => {
        const { content } = window.jupyterapp.shell.currentWidget;
        const { top, bottom } = content.widgets[index].node.getBoundingClientRect();
        return content.widgets[index].isAttached && bottom > 0 && top < window.innerHeight;
      }, index);
    await page.keyboard.press('Alt+.');
    await isVisible(62);
    await offered('The error is from the old code. Run the cell again?');
    await page.keyboard.press('Alt+.');
    await cellAt(62).locator(OFFER).waitFor({ state: 'detached' });
    await page.keyboard.press('Alt+.');
    await holds(cellAt(1), 'id(width_cm)');
    await isVisible(0);
    await offered('The kernel still uses the old name. Run this cell?');
    await editCell(page, 3);
    await page.keyboard.type('1');
    const count = () =>
      page.evaluate(() => window.jupyterapp.shell.currentWidget.content.widgets[0].model.executionCount);
    const last = await count();
    await page.keyboard.press('Alt+.');
    await gone();
    await page.waitForFunction(
      last => window.jupyterapp.shell.currentWidget.content.widgets[0].model.executionCount > last,
      last
    );
  });
});
