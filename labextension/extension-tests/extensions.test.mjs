/** Tab, Escape and Enter beside other extensions: docs/jupyterlab.md states what is tested here. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { editCell, GHOST, ghost, gone, openFile, openLab, writeNotebook } from '../ui-tests/lab.mjs';
import { listen, sourceOf, SUGGESTED, until } from './environment.mjs';

const MENU = '.jp-Completer:visible';

/** Open a notebook in JupyterLab with these extensions. */
async function open(options) {
  const { lab, browser, close } = await openLab({
    says: SUGGESTED,
    flags: ['--Turbopilot.kernel_context=False'],
    ...options
  });
  writeNotebook(lab, 'beside.ipynb', ['']);
  const page = await openFile(browser.context, lab, 'beside.ipynb');
  return { lab, page, close, asked: listen(page) };
}

/** Replace the text of the first cell, and put the cursor at its end. */
async function begin(page, source) {
  await page.evaluate(
    text => window.jupyterapp.shell.currentWidget.content.model.cells.get(0).sharedModel.setSource(text),
    source
  );
  await editCell(page, 0);
}

const isEditing = page => page.locator('.jp-Notebook.jp-mod-editMode').count();

/** Type after `x = `, accept with Tab, break the line with Enter, and dismiss the next ghost text with Escape. */
async function acceptAndDismiss(page) {
  await page.keyboard.press('f');
  assert.equal(await ghost(page), SUGGESTED);
  await page.keyboard.press('Tab');
  await until(() => sourceOf(page), `x = f${SUGGESTED}`);
  await page.keyboard.press('Enter');
  await until(() => sourceOf(page), `x = f${SUGGESTED}\n`);
  assert.equal(await ghost(page), SUGGESTED);
  await page.keyboard.press('Escape');
  await gone(page);
}

/** Tab accepts, the first Escape dismisses, the second leaves the cell, Enter breaks the line. */
async function usualKeys(page) {
  await begin(page, 'x = ');
  await acceptAndDismiss(page);
  assert.equal(await isEditing(page), 1);
  await page.keyboard.press('Escape');
  await until(() => isEditing(page), 0);
}

describe('jupyterlab-vim', { timeout: 180_000 }, () => {
  let asked;
  let close;
  let page;

  before(async () => {
    ({ asked, close, page } = await open({ extensions: ['@axlair/jupyterlab_vim'] }));
  });

  after(() => close?.());

  const mode = () =>
    page.locator('.jp-Notebook .jp-Cell.jp-mod-active .jp-Editor').getAttribute('data-jp-vim-mode-name');

  test('in insert mode Tab accepts, Escape dismisses and enters normal mode, and the next Escape leaves the cell', async () => {
    await begin(page, 'x = ');
    await page.keyboard.press('A');
    await until(mode, 'insert');
    await acceptAndDismiss(page);
    await until(mode, 'normal');
    assert.equal(await isEditing(page), 1);
    await page.keyboard.press('Escape');
    await until(() => isEditing(page), 0);
  });

  test('a reply that arrives after Escape is not shown', async () => {
    await page.route('**/turbopilot/complete*', async route => {
      await sleep(500);
      await route.continue().catch(() => undefined); // the page has canceled the request
    });
    await begin(page, 'x = 1');
    await page.keyboard.press('A');
    await page.keyboard.press('Enter'); // at the start of a line Escape does not move the cursor
    await page.keyboard.press('Escape');
    await until(mode, 'normal');
    await page.waitForTimeout(1500);
    assert.equal(await page.locator(GHOST).count(), 0);
    await page.unroute('**/turbopilot/complete*');
  });

  test('commands of normal mode request nothing', async () => {
    await begin(page, 'x = value');
    await page.keyboard.press('A');
    await page.keyboard.press('f');
    assert.equal(await ghost(page), SUGGESTED);
    await page.keyboard.press('Escape');
    await until(mode, 'normal');
    asked.length = 0;
    await page.keyboard.press('x');
    await until(() => sourceOf(page), 'x = value');
    await page.keyboard.press('A');
    await page.keyboard.press('g');
    assert.equal(await ghost(page), SUGGESTED);
    assert.equal(asked.length, 1); // for the key in insert mode
    await page.keyboard.press('Escape');
    await until(mode, 'normal');
  });

  test('a line that a command opens has ghost text', async () => {
    await begin(page, 'x = 1');
    await page.keyboard.press('o');
    assert.equal(await ghost(page), SUGGESTED);
    await page.keyboard.press('Tab');
    await until(() => sourceOf(page), `x = 1\n${SUGGESTED}`);
    await page.keyboard.press('Escape');
    await until(mode, 'normal');
  });
});

describe('jupyterlab-lsp', { timeout: 180_000 }, () => {
  let close;
  let page;

  before(async () => {
    ({ close, page } = await open({
      extensions: ['@jupyter-lsp/jupyterlab-lsp'],
      settings: {
        '@jupyterlab/completer-extension:manager': { autoCompletion: true },
        '@jupyter-lsp/jupyterlab-lsp:completion': { continuousHinting: true }
      }
    }));
    await page.evaluate(
      ([ghosts, menus]) => {
        window.both = 0;
        const look = () => {
          const isMenu = [...document.querySelectorAll(menus)].some(menu => menu.checkVisibility());
          window.both += isMenu && document.querySelector(ghosts) !== null;
          window.requestAnimationFrame(look);
        };
        look();
      },
      [`${GHOST}:not([class*=Spacer])`, '.jp-Completer']
    );
    await page.getByText('Fully initialized').waitFor();
  });

  after(() => close?.());

  test('the menu and ghost text are never shown together', async () => {
    for (const start of ['Orde', 'Coun', 'defa', '']) {
      await begin(page, 'import collections\n');
      await page.keyboard.type(`x = collections.${start}`, { delay: 60 });
      await page.locator(`${MENU}, ${GHOST}`).first().waitFor();
    }
    assert.equal(await page.evaluate(() => window.both), 0);
  });

  test('without a menu the keys are the usual ones', () => usualKeys(page));
});

describe('Notebook Intelligence', { timeout: 180_000 }, () => {
  const FOREIGN = 'oreign_value';
  const close = [];
  let page;

  before(async () => {
    // The model of the other extension answers slowly.
    const model = createServer((request, response) => {
      request.resume();
      const message = { role: 'assistant', content: FOREIGN };
      setTimeout(() => {
        response.setHeader('Content-Type', 'application/json');
        response.end(
          JSON.stringify({
            id: 'a',
            object: 'chat.completion',
            created: 1,
            model: 'a',
            choices: [{ index: 0, finish_reason: 'stop', message }]
          })
        );
      }, 150);
    });
    await new Promise(resolve => model.listen(0, '127.0.0.1', resolve));
    close.push(() => model.close());
    const home = mkdtempSync(path.join(tmpdir(), 'turbopilot-home-'));
    close.push(() => rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
    const folder = path.join(home, '.jupyter', 'nbi');
    mkdirSync(folder, { recursive: true });
    const properties = {
      api_key: 'a-key-for-tests',
      model_id: 'a',
      base_url: `http://127.0.0.1:${model.address().port}/v1`,
      context_window: ''
    };
    writeFileSync(
      path.join(folder, 'config.json'),
      JSON.stringify({
        chat_model: { provider: 'none', model: 'none' },
        inline_completion_model: {
          provider: 'openai-compatible',
          model: 'openai-compatible-inline-completion-model',
          properties: Object.entries(properties).map(([id, value]) => ({ id, value }))
        }
      })
    );
    const opened = await open({ extensions: ['@plmbr/notebook-intelligence'], environment: { HOME: home } });
    close.push(opened.close);
    ({ page } = opened);
  });

  after(async () => {
    for (const end of close.reverse()) {
      await end();
    }
  });

  test('one ghost text is shown at a time, and a notification says how to choose', async () => {
    await begin(page, 'x = ');
    await page.keyboard.press('f');
    assert.equal(await ghost(page), SUGGESTED);
    const notification = page.locator('.Toastify__toast', {
      hasText: 'Notebook Intelligence suggests code, too.'
    });
    await notification.waitFor();
    assert.equal(await page.locator(GHOST).count(), 1);
    await page.keyboard.press('Alt+]');
    await page.locator(GHOST, { hasText: FOREIGN }).waitFor();
    assert.equal(await page.locator(GHOST).count(), 1);
    await page.keyboard.press('Tab');
    await until(() => sourceOf(page), `x = f${FOREIGN}`);
    await notification.getByText('Open Settings').click();
    await page.locator('.jp-SettingsPanel', { hasText: 'Notebook Intelligence' }).waitFor();
  });

  test('with one of them, the keys are the usual ones', async () => {
    await page.evaluate(() =>
      window.jupyterapp.shell.activateById(
        [...window.jupyterapp.shell.widgets('main')].find(({ title }) => title.label === 'beside.ipynb').id
      )
    );
    await usualKeys(page);
  });

  test('text typed while replies arrive is kept', async () => {
    await begin(page, '');
    const typed = 'total = alpha + beta * foreign_value - gamma';
    await page.keyboard.type(typed, { delay: 40 });
    await until(() => sourceOf(page), typed);
  });
});

describe('jupyterlab-code-formatter', { timeout: 120_000 }, () => {
  let close;
  let page;

  before(async () => {
    ({ close, page } = await open({ extensions: ['jupyterlab_code_formatter'] }));
  });

  after(() => close?.());

  test('formatting dismisses ghost text and keeps what was typed', async () => {
    await begin(page, 'y=[1,2]\nz=y+');
    await page.keyboard.press('f');
    assert.equal(await ghost(page), SUGGESTED);
    await page.evaluate(() => window.jupyterapp.commands.execute('jupyterlab_code_formatter:format'));
    await until(() => sourceOf(page), 'y = [1, 2]\nz = y + f');
  });

  test('the keys are the usual ones', () => usualKeys(page));
});

describe('jupyter-ai', { timeout: 120_000 }, () => {
  let close;
  let page;

  before(async () => {
    ({ close, page } = await open({
      extensions: [
        '@jupyter/collaboration-extension',
        '@jupyter/docprovider-extension',
        '@jupyter-ai/acp-client',
        '@jupyter-ai/chat-commands',
        '@jupyter-ai/persona-manager',
        '@jupyter-ai/router',
        'jupyterlab-ai-commands',
        'jupyterlab-chat-extension'
      ]
    }));
  });

  after(() => close?.());

  test('it adds no ghost text, and the keys are the usual ones', async () => {
    await usualKeys(page);
    assert.equal(await page.locator('.Toastify__toast', { hasText: 'suggests code, too' }).count(), 0);
  });
});
