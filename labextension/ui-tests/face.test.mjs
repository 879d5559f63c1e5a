/** The user interface with and without a mouse: menus, notifications, counters, Escape, the panel. */

import assert from 'node:assert/strict';
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
  screenshot,
  showsStatus,
  textOf,
  writeNotebook
} from './lab.mjs';

const SAID = 'sum([1, 2])';
const CELLS = ['a = ', { cell_type: 'raw', source: 'hello' }, 'x = 1\ny = 2'];

describe('the user interface', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let lab;
  let page;

  const run = command => page.evaluate(name => void window.jupyterapp.commands.execute(name), command);
  const label = async () => (await page.locator('.jp-Turbopilot-status').innerText()).replaceAll('\n', '');
  const toast = text => page.locator('.Toastify__toast', { hasText: text }).first();
  const editing = () => page.locator('.jp-Notebook.jp-mod-editMode').count();
  let lines = 0;

  /** Put a text without a cached suggestion into the first cell. */
  async function fresh() {
    await editCell(page, 0);
    await page.keyboard.press('Control+a');
    await page.keyboard.insertText(`a_${++lines}`);
    await page.keyboard.type(' = ', { delay: 60 });
  }

  /** Assert that 40 characters of ghost text are visible beside long lines, and that the editor scrolls back. */
  async function showsEnds(name) {
    const frame = { id: 'a', text: `total(${'frame, '.repeat(8)}4)`, done: true, timings: { total_ms: 1 } };
    await page.route('**/turbopilot/complete*', route =>
      route.fulfill({ contentType: 'application/x-ndjson', body: `${JSON.stringify(frame)}\n` })
    );
    const scroller = page.locator('.jp-Notebook .jp-Cell').nth(2).locator('.cm-scroller');
    const scrollLeft = () => scroller.evaluate(node => Math.round(node.scrollLeft));
    const isRead = node => {
      const box = node.closest('.cm-scroller').getBoundingClientRect();
      const isVisible = at => {
        const character = document.createRange();
        character.setStart(node.firstChild, at);
        character.setEnd(node.firstChild, at + 1);
        const { left, right } = character.getBoundingClientRect();
        return left >= box.left && right <= box.right + 1;
      };
      return Array.from({ length: 40 }, (_, at) => at).every(isVisible);
    };
    for (const lineWrap of [false, true]) {
      for (const length of [90, 300]) {
        await editCell(page, 2);
        await page.evaluate(
          wrap => window.jupyterapp.shell.currentWidget.content.activeCell.editor.setOption('lineWrap', wrap),
          lineWrap
        );
        await page.keyboard.press('Control+a');
        await page.keyboard.insertText(
          `# ${'line '.repeat(80)}\na = [${'value, '.repeat(50).slice(0, length)}`
        );
        await page.waitForTimeout(300);
        const before = await scrollLeft();
        await page.keyboard.press('Alt+\\');
        await ghost(page);
        const message = `${name}, ${length} characters, wrapping: ${lineWrap}`;
        assert.ok(await page.locator(GHOST).first().evaluate(isRead), message);
        assert.equal((await scrollLeft()) > before, !lineWrap, message);
        await screenshot(page, `long-${name}-${length}-${lineWrap}`);
        await page.keyboard.press('Escape');
        await gone(page);
        for (let tries = 0; tries < 40 && (await scrollLeft()) !== before; tries++) {
          await page.waitForTimeout(50);
        }
        assert.equal(await scrollLeft(), before, message);
      }
    }
    await page.unroute('**/turbopilot/complete*');
  }

  async function openMenu() {
    await page.locator('.lm-MenuBar-itemLabel', { hasText: 'Settings' }).click();
    await page.locator('.lm-Menu-itemLabel', { hasText: /^Turbopilot$/ }).hover();
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Turn Off' }).waitFor();
  }

  before(async () => {
    ({ lab, browser, close } = await openLab({
      says: SAID,
      settings: { 'jupyter-turbopilot:plugin': { announce: true } },
      flags: ['--Turbopilot.kernel_context=False', '--JupyterNotebookApp.expose_app_in_browser=True']
    }));
    writeNotebook(lab, 'face.ipynb', CELLS);
    page = await openFile(browser.context, lab, 'face.ipynb');
  });

  after(() => close?.());

  test('the first Escape dismisses the ghost text, the second leaves the cell', async () => {
    await fresh();
    await ghost(page);
    await page.keyboard.press('Escape');
    await gone(page);
    assert.equal(await editing(), 1);
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !document.querySelector('.jp-Notebook.jp-mod-editMode'));
  });

  test('one Escape leaves the cell after the ghost text disappeared by itself', async () => {
    await fresh();
    await ghost(page);
    await page.route('**/turbopilot/complete*', () => undefined);
    await page.keyboard.type('"');
    await page.waitForFunction(
      () => !document.querySelector('.jp-GhostText, .jp-mod-inline-completer-active')
    );
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !document.querySelector('.jp-Notebook.jp-mod-editMode'));
    await page.unroute('**/turbopilot/complete*');
  });

  test('an edit elsewhere in the cell leaves no ghost text for the old text, and CodeMirror reports no error', async () => {
    const errors = [];
    const listen = message => message.type() === 'error' && errors.push(message.text());
    page.on('console', listen);
    for (const key of ['Control+]', 'Control+/', 'Alt+ArrowUp']) {
      const cell = await editCell(page, 2);
      await page.keyboard.press('Control+a');
      await page.keyboard.insertText(`x = 1\nb_${++lines}`);
      await page.keyboard.type(' = ', { delay: 60 });
      await ghost(page);
      const before = await page.locator('.jp-GhostText').elementHandle();
      await page.keyboard.press(key);
      await page.waitForFunction(element => !element.isConnected, before);
      await page.waitForTimeout(500); // a new suggestion may appear for the new text
      await page.keyboard.press('Escape');
      await gone(page);
      assert.notEqual(await textOf(cell), `x = 1\nb_${lines} = `);
      await editCell(page, 2);
    }
    page.off('console', listen);
    assert.deepEqual(errors, []);
  });

  test('Shift Tab removes the ghost text and accepts nothing', async () => {
    const cell = await editCell(page, 2);
    await page.keyboard.press('Control+a');
    await page.keyboard.insertText(`x = 1\nc_${++lines}`);
    await page.keyboard.type(' = ', { delay: 60 });
    await ghost(page);
    await page.keyboard.press('Shift+Tab');
    await gone(page);
    assert.match(await textOf(cell), /^x = 1\nc_\d+ = $/);
  });

  test('ghost text beside a long line is scrolled into view, and back', () => showsEnds('lab'));

  test('an explicit request without a suggestion shows the reason', async () => {
    await editCell(page, 1);
    await page.keyboard.press('Alt+\\');
    await toast('off for this language').waitFor();
    await editCell(page, 2);
    await page.evaluate(() => {
      const { editor } = window.jupyterapp.shell.currentWidget.content.activeCell;
      const at = line => ({ start: { line, column: 5 }, end: { line, column: 5 } });
      editor.setSelections([at(0), at(1)]);
    });
    await page.keyboard.press('Alt+\\');
    await toast('need a single cursor').waitFor();
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Alt+\\');
    await toast('while text is selected').waitFor();
    await run('turbopilot:pause');
    await page.keyboard.press('Control+End');
    await page.keyboard.press('Alt+\\');
    await toast('off in this document').waitFor();
    assert.equal(await label(), 'Turbopilot: off (this document)');
    await run('turbopilot:pause');
    await run('turbopilot:toggle');
    await showsStatus(page, 'off');
    await page.keyboard.press('Alt+\\');
    await toast('Suggestions are off.').waitFor();
    assert.equal(await page.locator('.jp-Turbopilot-live > div').last().textContent(), 'Turbopilot: off');
    await run('turbopilot:toggle');
    await toast('Suggestions are off.').waitFor({ state: 'detached', timeout: 3000 });
    await showsStatus(page, 'ready');
  });

  test('the shortcut toggles suggestions in a cell without changing its text', async () => {
    const cell = await editCell(page, 2);
    const text = await textOf(cell);
    await page.keyboard.press('Control+Home');
    await page.keyboard.insertText('        ');
    for (const condition of ['off', 'ready']) {
      await page.keyboard.press('Control+Alt+\\');
      await page.locator(`.jp-Turbopilot-status[data-condition="${condition}"]`).waitFor();
    }
    assert.equal(await textOf(cell), `        ${text}`);
    await page.keyboard.press('Control+z');
  });

  test('alternatives are numbered and announced', async () => {
    await page.route('**/turbopilot/complete*', async route => {
      if (route.request().postDataJSON().n === 1) {
        await route.continue();
        return;
      }
      const items = ['sum', `${SAID} `, 'max(2)', 'max(2)\n'].map(text => ({ text, confidence: 1 }));
      await route.fulfill({ json: { id: 'more', items } }).catch(() => undefined);
    });
    await fresh();
    await page.keyboard.press('Alt+\\');
    const note = words =>
      page.waitForFunction(
        content => {
          const line = document.querySelector('.cm-line:has(.jp-GhostText)');
          return line && window.getComputedStyle(line, '::after').content === content;
        },
        words === 'none' ? words : `"${words}"`
      );
    const announced = () => page.locator('.jp-Turbopilot-live > div').last().textContent();
    await note('1 of 3');
    assert.equal(await announced(), `Suggestion: ${SAID}`);
    await page.keyboard.press('Alt+]');
    await note('2 of 3');
    assert.equal(await ghost(page), 'sum');
    await page.keyboard.press('Alt+]');
    await note('3 of 3');
    assert.equal(await ghost(page), 'max(2)');
    assert.equal(await announced(), 'Suggestion (3 of 3): max(2)');
    await screenshot(page, 'counter');
    await page.keyboard.press('Alt+]');
    await note('1 of 3');
    // JupyterLab's toolbar is on the row of the note, where no code is.
    await page.locator(GHOST).first().hover();
    const bar = await page.locator('.jp-InlineCompleter-hover').boundingBox();
    const text = await page.locator(GHOST).first().boundingBox();
    const line = await page.locator('.cm-line:has(.jp-GhostText)').boundingBox();
    assert.ok(bar.y >= text.y + text.height, JSON.stringify({ bar, text }));
    assert.ok(bar.y + bar.height <= line.y + line.height + 1, JSON.stringify({ bar, line }));
    await screenshot(page, 'toolbar');
    await page.mouse.move(0, 0);
    // A suggestion that is typed in full is no alternative.
    await page.keyboard.type('sum', { delay: 60 });
    await note('none');
    assert.equal(await ghost(page), SAID.slice('sum'.length));
    // For a single suggestion, the toolbar has nothing to show.
    await page.locator(GHOST).first().hover();
    await page.waitForSelector('.jp-InlineCompleter-hover', { state: 'hidden' });
    await page.mouse.move(0, 0);
    await page.unroute('**/turbopilot/complete*');
  });

  test('Alt ] says why there is a single suggestion', async () => {
    let answer;
    const answered = new Promise(resolve => (answer = resolve));
    await page.route('**/turbopilot/complete*', async route => {
      if (route.request().postDataJSON().n === 1) {
        await route.continue();
        return;
      }
      await answered;
      await route.fulfill({ json: { id: 'none', items: [] } }).catch(() => undefined);
    });
    const note = words =>
      page.waitForFunction(content => {
        const line = document.querySelector('.cm-line:has(.jp-GhostText)');
        return line && window.getComputedStyle(line, '::after').content === content;
      }, `"${words}"`);
    const announced = () => page.locator('.jp-Turbopilot-live > div').last().textContent();
    await fresh();
    await ghost(page);
    await page.keyboard.press('Alt+]');
    await note('Alt+\\\\: alternatives');
    await page.keyboard.press('Alt+\\');
    await page.waitForTimeout(300);
    await page.keyboard.press('Alt+]');
    await note('Generating alternatives…');
    assert.equal(await announced(), 'Generating alternatives…');
    await screenshot(page, 'alternatives-generating');
    answer();
    await note('No alternatives');
    await page.keyboard.press('Escape');
    await gone(page);
    await page.unroute('**/turbopilot/complete*');
  });

  test('the status item is steady while the user types', async () => {
    await showsStatus(page, 'ready');
    await editCell(page, 0);
    await page.waitForTimeout(1500);
    await page.evaluate(() => {
      window.labels = [];
      const item = document.querySelector('.jp-Turbopilot-status');
      const note = () => window.labels.push(item.textContent);
      new window.MutationObserver(note).observe(item, { subtree: true, childList: true, attributes: true });
    });
    await page.keyboard.type(`b_${++lines} = total_${lines}`, { delay: 150 });
    assert.deepEqual(await page.evaluate(() => window.labels), []);
    await page.keyboard.press('Escape');
  });

  test('an explicit request closes the completion menu, at once and when its text arrives', async () => {
    const menu = page.locator('.jp-Completer:visible');
    const openMenu = async () => {
      await page.keyboard.press('Tab');
      await menu.waitFor();
    };
    let hold = null;
    await page.route('**/turbopilot/complete*', async route => {
      await hold;
      await route.continue().catch(() => undefined);
    });
    await run('turbopilot:pause');
    const cell = await editCell(page, 0);
    await page.keyboard.press('Control+a');
    // JupyterLab completes words of the cell even if the kernel is slow.
    await page.keyboard.insertText(`maxima = margin = ${++lines}\na = ma`);
    await run('turbopilot:pause');
    await openMenu();
    await screenshot(page, 'completion-menu');
    await page.keyboard.press('Alt+\\');
    assert.equal(await menu.count(), 0);
    assert.equal(await ghost(page), SAID);
    await page.keyboard.press('Escape');
    await gone(page);
    // Tab opens the menu while the request waits.
    let release;
    hold = new Promise(resolve => (release = resolve));
    await page.keyboard.press('Alt+\\');
    await openMenu();
    release();
    assert.equal(await ghost(page), SAID);
    assert.equal(await menu.count(), 0);
    await page.keyboard.press('Escape');
    await gone(page);
    // Tab keeps its meaning: an automatic suggestion leaves the menu open.
    await page.keyboard.press('Backspace');
    await ghost(page);
    await page.keyboard.press('Escape');
    await gone(page);
    await openMenu();
    const answered = page.waitForResponse('**/turbopilot/complete*');
    await page.keyboard.type('a');
    await (await answered).finished();
    await page.waitForTimeout(300);
    assert.equal(await page.locator(GHOST).count(), 0);
    await page.keyboard.press('Tab');
    assert.match(await textOf(cell), /\na = ma/);
    await page.keyboard.press('Escape');
    await page.unroute('**/turbopilot/complete*');
  });

  test('the menus show the enabled entries, in light and dark', async () => {
    await page.locator('.jp-Turbopilot-status').click();
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Turn Off' }).waitFor();
    await screenshot(page, 'status-menu');
    await page.keyboard.press('Escape');
    await execute(page, 'apputils:change-theme', { theme: 'JupyterLab Dark' });
    await page.waitForFunction(() => document.body.dataset.jpThemeLight === 'false');
    await page.locator('.jp-Turbopilot-status').click();
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Turn Off' }).waitFor();
    await screenshot(page, 'status-menu-dark');
    await page.keyboard.press('Escape');
    await execute(page, 'apputils:change-theme', { theme: 'JupyterLab Light' });
    await openMenu();
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Turbopilot: ready' }).waitFor();
    await screenshot(page, 'main-menu');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
  });

  test('the menu of the status item restores the focus', async () => {
    await editCell(page, 2);
    await page.locator('.jp-Turbopilot-status').click();
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Turn Off' }).click();
    await page.locator('.lm-Menu-itemLabel', { hasText: 'This Document Until Reload' }).click();
    assert.equal(await editing(), 1);
    await run('turbopilot:pause');
    await page.locator('.jp-Turbopilot-status').focus();
    await page.keyboard.press('Enter');
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Turn Off' }).waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.jp-Turbopilot-status:focus').count(), 1);
  });

  test('the status stays visible in a narrow window and displaces nothing', async () => {
    await fresh();
    await ghost(page);
    await showsStatus(page, ' · ');
    await page.setViewportSize({ width: 900, height: 700 });
    await page.waitForFunction(() =>
      [...document.querySelectorAll('.jp-StatusBar-Item')].every(
        item => item.getBoundingClientRect().right <= window.innerWidth
      )
    );
    await screenshot(page, 'status-900');
    const isWhole = node => {
      const text = document.createRange();
      text.selectNodeContents(node);
      const [shown, whole] = [node, text].map(each => each.getBoundingClientRect());
      const items = [...document.querySelectorAll('.jp-StatusBar-Item')];
      const end = Math.max(...items.map(item => item.getBoundingClientRect().right));
      return whole.right <= shown.right && whole.bottom <= shown.bottom + 1 && end <= window.innerWidth;
    };
    for (const state of ['ready', 'off (this notebook)']) {
      await page.waitForFunction(
        text => document.querySelector('.jp-Turbopilot-state').textContent === text,
        state
      );
      for (const width of [720, 640, 500]) {
        await page.setViewportSize({ width, height: 700 });
        await page.waitForTimeout(500);
        assert.ok(await page.locator('.jp-Turbopilot-state').evaluate(isWhole), `${state}, ${width} pixels`);
        if (state === 'ready') {
          assert.ok(await page.locator('.jp-Turbopilot-name').evaluate(isWhole), `${width} pixels`);
        }
        assert.equal(await label(), `Turbopilot: ${state}`);
        await screenshot(page, `status-${width}-${state.slice(0, 8)}`);
        await page.locator('.jp-Turbopilot-address').evaluate(node => {
          node.textContent = ` · ${'inference-gateway.'.repeat(4)}example.com:8443`;
        });
        assert.ok(
          await page.locator('.jp-Turbopilot-state').evaluate(isWhole),
          `${state} and an address, ${width} pixels`
        );
        await page.locator('.jp-Turbopilot-address').evaluate(node => (node.textContent = ''));
      }
      await run('turbopilot:disable-in-notebook');
    }
    await page.setViewportSize({ width: 1180, height: 760 });
  });

  test('outcomes are counted in the menu and reset on request', async () => {
    await lab.delete('turbopilot/statistics');
    writeNotebook(lab, 'outcomes.ipynb', ['a =', 'b =']);
    const other = await openFile(browser.context, lab, 'outcomes.ipynb');
    const week = async () => (await lab.get('turbopilot/health')).week;
    for (const [index, key] of ['Tab', 'Escape'].entries()) {
      await editCell(other, index);
      await other.keyboard.type(' ');
      assert.equal(await ghost(other), SAID);
      await other.keyboard.press(key);
      await gone(other);
    }
    for (let tries = 0; tries < 50 && ((await week()).accepted < 1 || (await week()).shown < 2); tries++) {
      await other.waitForTimeout(100); // the last of it may be on its way
    }
    const { shown, accepted, saved } = await week();
    assert.deepEqual([accepted, saved], [1, SAID.length - 1]);
    const dialog = other.locator('.jp-Dialog');
    const open = async words => {
      await other.locator('.jp-Turbopilot-status').click();
      const line = other.locator('.lm-Menu-itemLabel', { hasText: 'Statistics…' });
      await line.waitFor();
      await screenshot(other, 'statistics-menu');
      await line.click();
      await dialog.getByText(words).waitFor();
    };
    const counted = `You accepted 1 of ${shown} suggestions this week, which saved ${saved} keystrokes.`;
    await open(counted);
    await screenshot(other, 'statistics-dialog');
    await other.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    assert.equal((await week()).accepted, 1, 'Enter resets nothing');
    await open(counted);
    await dialog.getByRole('button', { name: 'Reset Statistics' }).click();
    await other.locator('.Toastify__toast', { hasText: 'has reset its statistics' }).first().waitFor();
    assert.deepEqual(await week(), { shown: 0, accepted: 0, saved: 0, retained: null });
    await open('No suggestions were shown this week.');
    await other.close();
    await page.bringToFront();
  });

  test('the panel follows other tabs and keeps a failed download marked', async () => {
    const model = {
      name: 'one',
      spec: 'one',
      size: 1e8,
      licence: '',
      use: '',
      stored: false,
      selected: false,
      pulling: false,
      progress: null,
      mirror: false,
      exact_size: true,
      fim: 'qwen',
      checkpoint: ''
    };
    let known = model;
    let fail = false;
    await page.route(/turbopilot\/models(\?|$)/, route =>
      fail ? route.abort() : route.fulfill({ json: { models: [known], selected: 'one' } })
    );
    await run('turbopilot:choose-model');
    const row = page.locator('.jp-Turbopilot-models tr[data-model="one"]');
    await row.getByRole('button', { name: 'Download' }).waitFor();
    const body = '{"phase":"failed","done":true,"error":{"code":"x","message":"No space."}}\n';
    await page.route('**/turbopilot/models/pull*', route => route.fulfill({ body }));
    await row.getByRole('button', { name: 'Download' }).click();
    await row.locator('.jp-mod-error', { hasText: 'No space.' }).waitFor();
    assert.match(await page.locator('.jp-Turbopilot-message.jp-mod-error').innerText(), /No space\./);
    await page.unroute('**/turbopilot/models/pull*');
    await screenshot(page, 'download-failed');
    // Another tab downloads it and loses the connection for a while. The panel refreshes by itself or when it is shown.
    const showAgain = async () => {
      for (const title of ['face.ipynb', 'Models']) {
        await page.locator('.lm-TabBar-tab', { hasText: title }).first().click();
      }
    };
    known = { ...model, pulling: true, progress: { phase: 'downloading', received: 1, total: 2 } };
    await row.locator('progress').waitFor({ timeout: 10000 });
    // A changed row keeps the focus: on the same button, or on the row without that button.
    await row.getByRole('button', { name: 'Stop' }).focus();
    known = { ...known, progress: { phase: 'verifying' } };
    await row.getByText('Verifying the checksum').waitFor({ timeout: 10000 });
    assert.equal(await page.evaluate(() => document.activeElement.dataset.key), 'stop:one');
    fail = true;
    await page
      .locator('.jp-Turbopilot-message', { hasText: 'cannot be reached' })
      .waitFor({ timeout: 10000 });
    fail = false;
    known = { ...model, failed: 'The disk is full.' };
    await showAgain();
    await row.locator('.jp-mod-error', { hasText: 'The disk is full.' }).waitFor({ timeout: 10000 });
    // A selected model without a file can be downloaded.
    known = { ...model, selected: true };
    await showAgain();
    await row.getByRole('button', { name: 'Download' }).waitFor({ timeout: 10000 });
    assert.doesNotMatch(await row.innerText(), /in use/);
    known = { ...model, stored: true };
    await showAgain();
    await row.getByRole('button', { name: 'Use' }).waitFor({ timeout: 10000 });
    assert.equal(await page.locator('.jp-Turbopilot-message').innerText(), '');
    // The buttons of the model in use also differ from its row in the light theme.
    known = {
      ...model,
      stored: true,
      selected: true,
      adapters_enabled: true,
      adapters: [{ name: 'x', bundled: true }]
    };
    await showAgain();
    await row.locator('summary').click({ timeout: 10000 });
    const tune = row.getByRole('button', { name: 'Use Without Tuning' });
    await tune.waitFor({ timeout: 10000 });
    const colour = element => window.getComputedStyle(element).backgroundColor;
    assert.notEqual(await tune.evaluate(colour), await row.evaluate(colour));
    await screenshot(page, 'models-panel');
    // The panel has no text to complete.
    await run('turbopilot:invoke');
    await toast('Place the cursor in a cell').waitFor();
    await page.close();
  });

  test('Notebook 7 has ghost text, the menu and the panel', async () => {
    page = await browser.context.newPage();
    await page.goto(`${lab.url}/notebooks/face.ipynb?token=${lab.token}`);
    await editCell(page, 0);
    await openMenu();
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Turn Off' }).waitFor();
    await screenshot(page, 'notebook-7-menu');
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Models…' }).click();
    await page.locator('.jp-Turbopilot-models tr[data-model]').first().waitFor();
    await screenshot(page, 'notebook-7-models');
    await fresh();
    assert.equal(await ghost(page), SAID);
    await page.keyboard.press('Tab');
    await holds(page.locator('.jp-Notebook .jp-Cell').first(), `a_${lines} = ${SAID}`);
    await showsEnds('notebook-7');
    await fresh();
    await page.keyboard.press('Escape');
    await openMenu();
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Suggest Now' }).click();
    await page.waitForSelector(GHOST);
    await page.keyboard.press('Control+Alt+\\');
    await gone(page);
    await openMenu();
    await page.locator('.lm-Menu-itemLabel', { hasText: 'Turn On' }).waitFor();
    await page.close();
  });
});
