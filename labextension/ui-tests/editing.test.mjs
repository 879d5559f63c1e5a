/** Typing in a notebook and a file, with the real model. */

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  editCell,
  GHOST,
  ghost,
  openFile,
  openLab,
  RECTANGLE,
  RESULTS,
  runFirstCell,
  screenshot,
  textOf,
  writeNotebook
} from './lab.mjs';

const FIBONACCI = 'def fibonacci(n):\n    if n < 2:\n        return n\n    return fi';

describe('in JupyterLab', { timeout: 600_000 }, () => {
  let close;
  let lab;
  let browser;

  before(async () => {
    ({ lab, browser, close } = await openLab());
  });

  after(() => close?.());

  async function notebook(name, cells) {
    writeNotebook(lab, name, cells);
    return openFile(browser.context, lab, name);
  }

  async function gone(page) {
    await page.waitForFunction(selector => !document.querySelector(selector), GHOST, { timeout: 5000 });
  }

  test('typing brings grey text, Tab takes it, one undo gives it back', async () => {
    const page = await notebook('tab.ipynb', [RECTANGLE]);
    const cell = await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    await page.waitForTimeout(700);
    await screenshot(page, 'ghost-text');
    await page.keyboard.press('Tab');
    await page.waitForFunction(
      text => document.querySelector('.cm-content').textContent.includes(text),
      '* self.height'
    );
    assert.equal(await textOf(cell), `${RECTANGLE}.height`);
    await page.keyboard.press('Control+z');
    await page.waitForTimeout(300);
    assert.equal(await textOf(cell), `${RECTANGLE}.`);
    await page.close();
  });

  test('a word and a line of it can be taken', async () => {
    const page = await notebook('parts.ipynb', [FIBONACCI]);
    const cell = await editCell(page, 0);
    await page.keyboard.type('b');
    assert.equal(await ghost(page), 'onacci(n-1) + fibonacci(n-2)');
    await page.keyboard.press('Control+ArrowRight');
    await page.waitForTimeout(300);
    assert.equal(await textOf(cell), `${FIBONACCI}bonacci`);
    assert.equal(await ghost(page), '(n-1) + fibonacci(n-2)');
    await page.keyboard.press('Alt+ArrowRight');
    await page.waitForTimeout(300);
    assert.equal(await textOf(cell), `${FIBONACCI}bonacci(n-1) + fibonacci(n-2)`);
    await page.close();
  });

  test('a column of a live frame is offered, one that is not there is not', async () => {
    const page = await notebook('frame.ipynb', [
      // Only the kernel knows the column's name.
      "import pandas as pd\nsales = pd.DataFrame({'region': ['north'], 'xela'[::-1] + 'qz': [1.5]})",
      'total = sales['
    ]);
    await page.getByText('| Idle').waitFor();
    await editCell(page, 0);
    await page.keyboard.press('Shift+Enter');
    await page.waitForFunction(
      () => document.querySelector('.jp-InputPrompt')?.textContent.includes('[1]'),
      null,
      { timeout: 60000 }
    );
    // The first request makes the kernel known, which is asked as soon as it is idle. Each try has another
    // text: answers are remembered.
    let shown = '';
    for (let tries = 0; !/^exqz/.test(shown) && tries < 10; tries++) {
      await editCell(page, 1);
      await page.waitForTimeout(1500);
      await page.keyboard.press('Control+a');
      await page.keyboard.insertText(`total${tries} = sales[`);
      await page.keyboard.type('"al', { delay: 150 });
      shown = await ghost(page, { timeout: 5000 }).catch(() => '');
    }
    assert.match(shown, /^exqz/);
    await screenshot(page, 'column');
    await page.close();
  });

  test('another open document is drawn from where it has names in common', async () => {
    const helpers =
      'def weigh_the_cargo(manifest, tare_in_kilograms):\n    return sum(manifest) - tare_in_kilograms\n';
    writeFileSync(path.join(lab.work, 'helpers.py'), helpers);
    const page = await notebook('beside.ipynb', ['from helpers import weigh_the_cargo', 'net = weigh_the_c']);
    await page.evaluate(() => window.jupyterapp.commands.execute('docmanager:open', { path: 'helpers.py' }));
    await page.locator('.jp-FileEditor .cm-content').waitFor();
    await page.evaluate(() =>
      window.jupyterapp.commands.execute('docmanager:open', { path: 'beside.ipynb' })
    );
    const asked = page.waitForRequest(
      request =>
        request.url().includes('turbopilot/complete') && request.postDataJSON().trigger === 'automatic'
    );
    await editCell(page, 1);
    await page.keyboard.type('argo([1], ta');
    assert.deepEqual((await asked).postDataJSON().extra, [
      { path: 'helpers.py', language: 'python', source: helpers }
    ]);
    // Only the other document says what the second parameter is.
    assert.match(await ghost(page), /^re_in_kilograms/);
    await page.close();
  });

  test('typing into the grey text asks nothing and keeps the rest', async () => {
    const page = await notebook('through.ipynb', [FIBONACCI]);
    const cell = await editCell(page, 0);
    await page.keyboard.type('b');
    assert.equal(await ghost(page), 'onacci(n-1) + fibonacci(n-2)');
    const asked = [];
    page.on('request', request => {
      if (request.url().includes('turbopilot/complete')) {
        asked.push(request.url());
      }
    });
    for (const key of 'ona') {
      await page.keyboard.type(key);
      await page.waitForTimeout(120);
    }
    assert.equal(await ghost(page), 'cci(n-1) + fibonacci(n-2)');
    assert.deepEqual(asked, []);
    await page.keyboard.press('Tab');
    await page.waitForTimeout(300);
    assert.equal(await textOf(cell), `${FIBONACCI}bonacci(n-1) + fibonacci(n-2)`);
    await page.close();
  });

  test('three characters typed while it streams, then Tab: the exact text', async () => {
    const page = await notebook('stream.ipynb', [FIBONACCI + 'b']);
    const cell = await editCell(page, 0);
    // Asked for, it streams token by token.
    await page.keyboard.press('Alt+\\');
    await page.waitForSelector(GHOST, { timeout: 30000 });
    for (const key of 'ona') {
      await page.keyboard.type(key);
    }
    const rest = await ghost(page);
    assert.ok('cci(n-1) + fibonacci(n-2)'.startsWith(rest) && rest.length > 3, rest);
    await page.waitForFunction(
      ([selector, text]) => document.querySelector(selector)?.innerText.includes(text),
      [GHOST, 'fibonacci(n-2)'],
      { timeout: 15000 }
    );
    await page.keyboard.press('Tab');
    await page.waitForTimeout(300);
    assert.equal(await textOf(cell), `${FIBONACCI}bonacci(n-1) + fibonacci(n-2)`);
    await page.close();
  });

  test('keys faster than the model ask for the newest text alone', async () => {
    const page = await notebook('fast.ipynb', [RECTANGLE.slice(0, -4)]);
    await editCell(page, 0);
    await page.keyboard.type('self.', { delay: 60 });
    assert.equal(await ghost(page), 'height');
    await page.close();
  });

  test('grey text is gone, and none comes late, once the cursor has moved', async () => {
    const page = await notebook('moved.ipynb', [RECTANGLE]);
    await editCell(page, 0);
    await page.keyboard.type('.');
    await page.keyboard.press('Control+Home');
    await page.waitForTimeout(2500);
    assert.equal(await page.locator(GHOST).count(), 0);
    await page.keyboard.press('Control+End');
    await page.keyboard.press('Alt+\\');
    assert.equal(await ghost(page), 'height');
    await page.keyboard.press('ArrowUp');
    await gone(page);
    await page.close();
  });

  test('an edit that somebody else makes dismisses it and asks nothing', async () => {
    const page = await notebook('remote.ipynb', [RECTANGLE]);
    await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    const asked = [];
    page.on('request', request => {
      if (request.url().includes('turbopilot/complete')) {
        asked.push(request.url());
      }
    });
    await page.evaluate(() => {
      const { cells } = window.jupyterapp.shell.currentWidget.content.model;
      cells.get(0).sharedModel.updateSource(0, 0, '# a remark\n');
    });
    await gone(page);
    assert.deepEqual(asked, []);
    await page.close();
  });

  test('after Enter a body is offered on the empty line', async () => {
    const page = await notebook('enter.ipynb', ['def is_even(n):\n    return n % 2 == 0', 'def is_odd(n):']);
    const cell = await editCell(page, 1);
    await page.keyboard.press('Enter');
    assert.match(await ghost(page), /^return n % 2/);
    await page.keyboard.press('Tab');
    await page.waitForTimeout(300);
    assert.match(await textOf(cell), /^def is_odd\(n\):\n {4}return n % 2/);
    await page.close();
  });

  test('a bracket the editor closed is not closed twice', async () => {
    const page = await notebook('bracket.ipynb', ['values = [3, 1, 2]\nsmallest = min']);
    const cell = await editCell(page, 0);
    await page.keyboard.type('(');
    await page.keyboard.press('Alt+\\');
    assert.equal(await ghost(page), 'values');
    await page.keyboard.press('Tab');
    await page.waitForTimeout(300);
    assert.equal(await textOf(cell), 'values = [3, 1, 2]\nsmallest = min(values)');
    await page.close();
  });

  test('further suggestions are offered when asked for', async () => {
    const page = await notebook('more.ipynb', ['import numpy as np\nx = np.']);
    await editCell(page, 0);
    await page.keyboard.press('Alt+\\');
    const first = await ghost(page);
    await page.waitForFunction(
      () => /1\/[2-9]/.test(document.querySelector('.jp-InlineCompleter')?.textContent ?? ''),
      null,
      { timeout: 30000 }
    );
    await page.keyboard.press('Alt+]');
    await page.waitForTimeout(400);
    assert.notEqual(await ghost(page), first);
    await page.close();
  });

  test('the file editor has it too, and Escape dismisses it', async () => {
    writeFileSync(path.join(lab.work, 'rectangle.py'), RECTANGLE);
    const page = await openFile(browser.context, lab, 'rectangle.py');
    await page.locator('.jp-FileEditor .cm-content').click();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    await screenshot(page, 'file-editor');
    await page.keyboard.press('Escape');
    await gone(page);
    await page.keyboard.press('Alt+\\');
    assert.equal(await ghost(page), 'height');
    await page.keyboard.press('Tab');
    await page.waitForTimeout(300);
    const text = await page.locator('.jp-FileEditor .cm-content').innerText();
    assert.ok(text.endsWith('* self.height'), text);
    await page.close();
  });

  test('languages that are off, credentials and snoozed documents get nothing', async () => {
    const asked = [];
    const listen = page =>
      page.on('request', request => {
        if (request.url().includes('turbopilot/complete')) {
          asked.push(request.url());
        }
      });
    const page = await notebook('off.ipynb', [
      { cell_type: 'raw', source: 'The quick brown fox' },
      RECTANGLE
    ]);
    listen(page);
    await editCell(page, 0);
    await page.keyboard.type(' jumps');
    await page.waitForTimeout(800);
    assert.deepEqual(asked, []);
    await page.evaluate(() => window.jupyterapp.commands.execute('turbopilot:snooze'));
    assert.match(await page.locator('.jp-Turbopilot-status').innerText(), /snoozed/);
    await editCell(page, 1);
    await page.keyboard.type('.');
    await page.waitForTimeout(800);
    assert.deepEqual(asked, []);
    await page.evaluate(() => window.jupyterapp.commands.execute('turbopilot:snooze'));
    await page.close();
    writeFileSync(path.join(lab.work, 'secrets.py'), RECTANGLE);
    const secret = await openFile(browser.context, lab, 'secrets.py');
    listen(secret);
    await secret.locator('.jp-FileEditor .cm-content').click();
    await secret.keyboard.press('Control+End');
    await secret.keyboard.type('.');
    await secret.waitForTimeout(800);
    assert.deepEqual(asked, []);
    await secret.close();
  });

  test('the status item opens a menu by keyboard; off is off', async () => {
    const page = await notebook('status.ipynb', [RECTANGLE]);
    const status = page.locator('.jp-Turbopilot-status');
    assert.match(await status.innerText(), /Turbopilot: ready/);
    assert.match(await status.getAttribute('title'), /qwen2.5-coder-0.5b/);
    await status.focus();
    await page.keyboard.press('Enter');
    await page.waitForSelector('.lm-Menu-itemLabel:has-text("Models…")');
    await screenshot(page, 'status-menu');
    await page.keyboard.press('Escape');
    await page.evaluate(() => window.jupyterapp.commands.execute('turbopilot:toggle'));
    await page.waitForFunction(() =>
      document.querySelector('.jp-Turbopilot-status').textContent.includes('off')
    );
    await editCell(page, 0);
    await page.keyboard.type('.');
    await page.waitForTimeout(1000);
    assert.equal(await page.locator(GHOST).count(), 0);
    await page.evaluate(() => window.jupyterapp.commands.execute('turbopilot:toggle'));
    await page.waitForFunction(() =>
      document.querySelector('.jp-Turbopilot-status').textContent.includes('ready')
    );
    await page.close();
  });

  test('while the completion popup is open it owns Tab', async () => {
    const page = await notebook('popup.ipynb', ['import collections\ncollections.Orde']);
    const cell = await editCell(page, 0);
    await page.waitForSelector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', { timeout: 60000 });
    let popup = 0;
    // The kernel's completer may take its time to wake.
    for (let tries = 0; tries < 5 && !popup && !(await textOf(cell)).endsWith('OrderedDict'); tries++) {
      await page.keyboard.press('Tab');
      await page.waitForTimeout(2500);
      popup = await page.locator('.jp-Completer:visible').count();
    }
    if (popup) {
      assert.equal(await page.locator(GHOST).count(), 0);
      await page.keyboard.press('Tab');
      await page.waitForTimeout(300);
    }
    // One candidate is inserted at once; of several, Tab takes the one the popup shows.
    assert.equal(await textOf(cell), 'import collections\ncollections.OrderedDict');
    await page.close();
  });

  test('a server in trouble is told once, quietly, and typing goes on', async () => {
    const page = await notebook('trouble.ipynb', ['x = 1']);
    await page.route('**/turbopilot/complete*', route =>
      route.fulfill({ status: 200, body: '<html>garbage\n' })
    );
    const cell = await editCell(page, 0);
    await page.keyboard.type('\ny = 22', { delay: 150 });
    await page.waitForTimeout(1000);
    assert.equal(await textOf(cell), 'x = 1\ny = 22');
    assert.equal(await page.locator(GHOST).count(), 0);
    assert.ok((await page.locator('.Toastify__toast').count()) <= 1);
    await page.unroute('**/turbopilot/complete*');
    await page.route('**/turbopilot/complete*', route =>
      route.fulfill({
        status: 429,
        headers: { 'Retry-After': '1' },
        body: JSON.stringify({ error: { code: 'busy', field: null, message: 'Busy.' } })
      })
    );
    await page.keyboard.type('\nz = 33', { delay: 120 });
    await page.waitForTimeout(500);
    assert.ok((await page.locator('.Toastify__toast').count()) <= 2);
    assert.equal(await textOf(cell), 'x = 1\ny = 22\nz = 33');
    await page.close();
  });

  test('it can be read in the dark', async () => {
    const page = await notebook('dark.ipynb', [RECTANGLE]);
    await page.evaluate(() =>
      window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })
    );
    await page.waitForTimeout(1500);
    await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    await screenshot(page, 'dark');
    await page.evaluate(() =>
      window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' })
    );
    await page.waitForTimeout(500);
    await page.close();
  });

  test('the magic in a notebook asks the server that started its kernel', async () => {
    const page = await notebook('magic.ipynb', [
      '%load_ext jupyter_turbopilot',
      '%%complete\ndef is_even(n):\n    return n % 2 == 0\n\ndef is_odd(n):\n    return'
    ]);
    await page.waitForSelector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', { timeout: 60000 });
    await runFirstCell(page);
    await editCell(page, 1);
    await page.keyboard.press('Shift+Enter');
    await page.waitForFunction(
      () =>
        [...document.querySelectorAll('.jp-Notebook .jp-Cell .cm-content')].some(
          ({ innerText }) =>
            /def is_odd\(n\):\s+return n % 2/.test(innerText) && !innerText.includes('%%complete')
        ),
      null,
      { timeout: 60000 }
    );
    await screenshot(page, 'magic');
    await page.close();
  });

  test('the picture for the README', async () => {
    const page = await openFile(browser.context, lab, 'demo.ipynb');
    await page.evaluate(() => window.jupyterapp.commands.execute('application:toggle-left-area'));
    await editCell(page, 2);
    await page.keyboard.type('ret');
    assert.match(await ghost(page), /^urn math\.pi/);
    await page.keyboard.press('Tab');
    await editCell(page, 3);
    await page.keyboard.type('.');
    assert.match(await ghost(page), /^sqrt\(\(self\.x - other\.x\)/);
    await page.waitForTimeout(800);
    await screenshot(page, 'readme');
    if (process.env.UPDATE_PICTURES) {
      mkdirSync(path.join(RESULTS, '..', '..', 'docs'), { recursive: true });
      copyFileSync(
        path.join(RESULTS, 'readme.png'),
        path.join(RESULTS, '..', '..', 'docs', 'ghost-text.png')
      );
    }
    await page.close();
  });
});
