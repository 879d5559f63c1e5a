/** Typing in notebooks, files and consoles, with the real model. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  editCell,
  execute,
  GHOST,
  ghost,
  gone,
  holds,
  openFile,
  openLab,
  openTab,
  RECTANGLE,
  runFirstCell,
  screenshot,
  setCells,
  textOf,
  writeNotebook
} from './lab.mjs';

const FIBONACCI = 'def fibonacci(n):\n    if n < 2:\n        return n\n    return fi';

describe('editing in JupyterLab', { timeout: 600_000 }, () => {
  let asked;
  let browser;
  let close;
  let lab;
  let page;

  /** Collect a page's completion requests, except prefetch requests. */
  function listen(opened) {
    const requests = [];
    opened.on('request', request => {
      if (request.url().includes('turbopilot/complete')) {
        const body = request.postDataJSON();
        if (body.trigger === 'automatic' || body.trigger === 'invoke') {
          requests.push(body);
        }
      }
    });
    return requests;
  }

  before(async () => {
    ({ lab, browser, close } = await openLab());
    writeNotebook(lab, 'editing.ipynb', ['']);
    page = await openFile(browser.context, lab, 'editing.ipynb');
    asked = listen(page);
    // JupyterLab may recreate its completer after the kernel has connected, and drop the first answer.
    for (let tries = 0, isShown = false; tries < 5 && !isShown; tries++) {
      await notebook(['import math\nx = math.']);
      await page.keyboard.press('Alt+\\');
      isShown = await ghost(page, { timeout: 15_000 }).then(Boolean, () => false);
    }
  });

  after(() => close?.());

  /** Put the cursor at the end of one of these cells in the open notebook. */
  async function notebook(cells, active = cells.length - 1) {
    await setCells(page, cells);
    return editCell(page, active);
  }

  /** Close all documents except the notebook. */
  async function closeOthers() {
    await page.evaluate(() => {
      const { shell } = window.jupyterapp;
      const widgets = [...shell.widgets('main')];
      const notebook = widgets.find(({ title }) => title.label === 'editing.ipynb');
      widgets.filter(widget => widget !== notebook).forEach(widget => widget.dispose());
      shell.activateById(notebook.id);
    });
  }

  test('typing shows ghost text, Tab accepts it, one undo removes it', async () => {
    const cell = await notebook([RECTANGLE]);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    const status = page.locator('.jp-Turbopilot-status');
    await status.and(page.locator('[data-condition="ready"]')).waitFor();
    assert.match(await status.innerText(), /Turbopilot:\s*ready/);
    assert.match(await status.getAttribute('title'), /qwen2.5-coder-0.5b/);
    await screenshot(page, 'ghost-text');
    await page.keyboard.press('Tab');
    await holds(cell, `${RECTANGLE}.height`);
    await page.keyboard.press('Control+z');
    await holds(cell, `${RECTANGLE}.`);
  });

  test('typing along the ghost text keeps the rest without a request', async () => {
    const cell = await notebook([FIBONACCI]);
    await page.keyboard.type('b');
    const text = await ghost(page);
    assert.match(text, /^onacci/);
    const before = asked.length;
    await page.keyboard.type('ona', { delay: 120 });
    assert.equal(await ghost(page), text.slice('ona'.length));
    assert.equal(asked.length, before);
    await page.keyboard.press('Tab');
    // JupyterLab closes the bracket if the text ends with an opening one.
    await holds(cell, `${FIBONACCI}b${text}${text.endsWith('(') ? ')' : ''}`);
  });

  test('moving the cursor removes the ghost text, and none appears late', async () => {
    await notebook([RECTANGLE]);
    await page.keyboard.type('.');
    await page.keyboard.press('Control+Home');
    await page.waitForTimeout(1000);
    assert.equal(await page.locator(GHOST).count(), 0);
    await page.keyboard.press('Control+End');
    await page.keyboard.press('Alt+\\');
    assert.equal(await ghost(page), 'height');
    await page.keyboard.press('ArrowUp');
    await gone(page);
  });

  test('Enter after a colon shows a body on the empty line', async () => {
    const cell = await notebook(['def is_even(n):\n    return n % 2 == 0', 'def is_odd(n):']);
    await page.keyboard.press('Enter');
    const body = await ghost(page);
    assert.match(body, /^return n % 2/);
    await page.keyboard.press('Tab');
    await holds(cell, `def is_odd(n):\n    ${body}`);
  });

  test('a new cell shows a suggestion, which is accepted by word and whole, with an undo step each', async () => {
    await notebook(['def is_even(n):\n    return n % 2 == 0', 'print(is_even(4))']);
    await page.keyboard.press('Shift+Enter');
    const cell = page.locator('.jp-Notebook .jp-Cell').nth(2);
    const text = await ghost(page);
    assert.match(text, /^\w+/);
    await page.keyboard.press('Tab');
    await holds(cell, text);
    await page.keyboard.press('Control+z');
    await holds(cell, '');
    await page.keyboard.press('Alt+\\');
    assert.ok((await ghost(page)).startsWith(text));
    await page.keyboard.press('Control+ArrowRight');
    await holds(cell, /^\w+/.exec(text)[0]);
    await page.keyboard.press('Control+z');
    await holds(cell, '');
  });

  test('an empty cell shows a suggestion in edit mode only, and Escape removes it', async () => {
    const before = asked.length;
    const cell = await notebook(['def is_even(n):\n    return n % 2 == 0', '']);
    await ghost(page);
    await page.keyboard.press('Escape');
    await gone(page);
    await page.keyboard.press('Escape');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowDown');
    await page.waitForTimeout(1000);
    assert.equal(await page.locator(GHOST).count(), 0);
    assert.equal(asked.length, before + 1);
    await holds(cell, '');
  });

  test('a bracket that the editor closed is not closed twice', async () => {
    const cell = await notebook(['values = [3, 1, 2]\nsmallest = min']);
    await page.keyboard.type('(');
    await page.keyboard.press('Alt+\\');
    assert.equal(await ghost(page), 'values');
    await page.keyboard.press('Tab');
    await holds(cell, 'values = [3, 1, 2]\nsmallest = min(values)');
  });

  test('Tab belongs to the completion popup while it is open', async () => {
    const cell = await notebook(['import collections\ncollections.Orde']);
    const whole = 'import collections\ncollections.OrderedDict';
    const popup = page.locator('.jp-Completer:visible');
    const isWhole = async () => (await textOf(cell)) === whole;
    // The kernel's completer may be slow at first.
    for (let tries = 0; tries < 5 && !(await isWhole()) && !(await popup.count()); tries++) {
      await page.keyboard.press('Tab');
      for (let waits = 0; waits < 50 && !(await isWhole()) && !(await popup.count()); waits++) {
        await page.waitForTimeout(100);
      }
    }
    // A single candidate is inserted at once; otherwise Tab inserts the selected one.
    if (!(await isWhole())) {
      assert.equal(await page.locator(GHOST).count(), 0);
      await page.keyboard.press('Tab');
    }
    await holds(cell, whole);
  });

  test('input method composition and read-only cells send no request', async () => {
    await notebook([RECTANGLE, { cell_type: 'code', source: 'z = 3', metadata: { editable: false } }]);
    const before = asked.length;
    await page.keyboard.press('Alt+\\');
    await page.locator('.Toastify__toast', { hasText: 'This cell is read-only.' }).waitFor();
    await editCell(page, 0);
    const session = await page.context().newCDPSession(page);
    await session.send('Input.imeSetComposition', { text: 'に', selectionStart: 1, selectionEnd: 1 });
    await page.waitForTimeout(500);
    assert.equal(asked.length, before);
    await session.send('Input.insertText', { text: '.' });
    assert.equal(await ghost(page), 'height');
    assert.ok(asked.length > before);
  });

  test('another open document with common names is used', async () => {
    const helpers =
      'def weigh_the_cargo(manifest, tare_in_kilograms):\n    return sum(manifest) - tare_in_kilograms\n';
    writeFileSync(path.join(lab.work, 'helpers.py'), helpers);
    await setCells(page, ['from helpers import weigh_the_cargo', 'net = weigh_the_c']);
    await openTab(page, 'helpers.py');
    await page.locator('.jp-FileEditor .cm-content').waitFor();
    await openTab(page, 'editing.ipynb');
    const before = asked.length;
    await editCell(page, 1);
    await page.keyboard.type('argo([1], ta');
    // Only the other document contains the second parameter.
    assert.match(await ghost(page), /^re_in_kilograms/);
    assert.deepEqual(asked[before].documents, [{ path: 'helpers.py', language: 'python', source: helpers }]);
    await closeOthers();
  });

  test('the file editor shows ghost text, but not in files with credentials', async () => {
    await setCells(page, ['']);
    writeFileSync(path.join(lab.work, 'rectangle.py'), RECTANGLE);
    writeFileSync(path.join(lab.work, 'secrets.py'), RECTANGLE);
    const editor = page.locator('.jp-FileEditor:visible .cm-content');
    const openEditor = async name => {
      await openTab(page, name);
      await editor.click();
      await page.keyboard.press('Control+End');
      await page.keyboard.type('.');
    };
    await openEditor('rectangle.py');
    assert.equal(await ghost(page), 'height');
    await screenshot(page, 'file-editor');
    await page.keyboard.press('Escape');
    await gone(page);
    await page.keyboard.press('Alt+\\');
    assert.equal(await ghost(page), 'height');
    await page.keyboard.press('Tab');
    await editor.filter({ hasText: /\* self\.height$/ }).waitFor();
    await openEditor('secrets.py');
    await page.keyboard.press('Alt+\\');
    await page.locator('.Toastify__toast', { hasText: 'files that may contain credentials' }).waitFor();
    assert.ok(asked.some(({ path }) => path === 'rectangle.py'));
    assert.ok(!asked.some(({ path }) => path === 'secrets.py'));
    await closeOthers();
  });

  test('the console shows ghost text', async () => {
    await setCells(page, ['']);
    await execute(page, 'console:create', {
      kernelPreference: { name: 'python3', autoStartDefault: true }
    });
    const prompt = page.locator('.jp-CodeConsole-promptCell .cm-content');
    await prompt.click({ timeout: 60000 });
    await page.keyboard.insertText(RECTANGLE);
    await page.locator('.jp-CodeConsole-banner', { hasText: 'IPython' }).waitFor({ timeout: 60000 });
    // Here, too, JupyterLab may drop the first answer.
    let shown = null;
    for (let tries = 0; tries < 3 && !shown; tries++) {
      await page.keyboard.type('.');
      shown = await ghost(page, { timeout: 20_000 }).catch(() => page.keyboard.press('Backspace'));
    }
    assert.equal(shown, 'height');
    await screenshot(page, 'console');
    await closeOthers();
  });

  test('the magic uses the server that started its kernel', async () => {
    await notebook([
      '%load_ext jupyter_turbopilot',
      '%%complete\ndef is_even(n):\n    return n % 2 == 0\n\ndef is_odd(n):\n    return'
    ]);
    await runFirstCell(page);
    await editCell(page, 1);
    await page.keyboard.press('Shift+Enter');
    const written = page.locator('.jp-Notebook .jp-Cell').nth(2).locator('.cm-content');
    await written.filter({ hasText: /def is_odd\(n\):\s*return n % 2/ }).waitFor({ timeout: 60000 });
    assert.doesNotMatch(await written.innerText(), /%%complete/);
    await screenshot(page, 'magic');
  });

  test('only one ghost text is shown with another provider', async () => {
    const history = {
      enabled: true,
      autoFillInMiddle: true,
      timeout: 5000,
      debouncerDelay: 0,
      maxSuggestions: 9
    };
    const inline = 'lab/api/settings/@jupyterlab/completer-extension:inline-completer';
    const set = providers => lab.put(inline, { raw: JSON.stringify({ providers }) });
    await set({ '@jupyterlab/inline-completer:history': history });
    writeNotebook(lab, 'beside.ipynb', [RECTANGLE]);
    const other = await openFile(browser.context, lab, 'beside.ipynb');
    await editCell(other, 0);
    await other.keyboard.type('.');
    assert.equal(await ghost(other), 'height');
    assert.equal(await other.locator(GHOST).count(), 1);
    await other.close();
    await set({});
  });
});
