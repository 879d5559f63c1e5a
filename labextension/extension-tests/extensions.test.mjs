/** Tab, Escape and Enter beside other extensions: docs/other-extensions.md states what is tested here. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { editCell, GHOST, ghost, gone, openFile, openLab, setCells, writeNotebook } from '../ui-tests/lab.mjs';
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

/** Replace the notebook, and put the cursor at the end of its first cell. */
async function begin(page, source) {
  await setCells(page, [source, '']);
  await editCell(page, 0);
}

const isEditing = page => page.locator('.jp-Notebook.jp-mod-editMode').count();

/** Tab accepts, the first Escape dismisses, the second leaves the cell, Enter breaks the line. */
async function usualKeys(page) {
  await begin(page, 'x = ');
  await page.keyboard.press('f');
  assert.equal(await ghost(page), SUGGESTED);
  await page.keyboard.press('Tab');
  await until(() => sourceOf(page), `x = f${SUGGESTED}`);
  await page.keyboard.press('Enter');
  await until(() => sourceOf(page), `x = f${SUGGESTED}\n`);
  assert.equal(await ghost(page), SUGGESTED);
  await page.keyboard.press('Escape');
  await gone(page);
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

  test('in insert mode Tab accepts, and one Escape dismisses ghost text and leaves the mode', async () => {
    await begin(page, 'x = ');
    await page.keyboard.press('A');
    await until(mode, 'insert');
    await page.keyboard.press('f');
    assert.equal(await ghost(page), SUGGESTED);
    await page.keyboard.press('Tab');
    await until(() => sourceOf(page), `x = f${SUGGESTED}`);
    await page.keyboard.press('Enter');
    assert.equal(await ghost(page), SUGGESTED);
    await page.keyboard.press('Escape');
    await until(mode, 'normal');
    await gone(page);
    assert.equal(await isEditing(page), 1);
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
    await page.keyboard.press('u');
    await until(() => sourceOf(page), 'x = valuef');
    await page.keyboard.press('A');
    await page.keyboard.press('g');
    assert.equal(await ghost(page), SUGGESTED);
    assert.equal(asked.length, 1); // for the key in insert mode
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
  let lab;
  let page;

  before(async () => {
    ({ close, lab, page } = await open({
      extensions: ['@jupyter-lsp/jupyterlab-lsp'],
      settings: { '@jupyterlab/completer-extension:manager': { autoCompletion: true } }
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
    await until(async () => Object.keys((await lab.get('lsp/status')).sessions).length > 0, true);
  });

  after(() => close?.());

  test('the menu and ghost text are never shown together, and Tab belongs to the one that is', async () => {
    let accepted = 0;
    for (const start of ['Orde', 'Coun', 'defa', 'Use', '']) {
      await begin(page, 'import collections\n');
      await page.keyboard.type(`x = collections.${start}`, { delay: 60 });
      await page.locator(`${MENU}, ${GHOST}`).first().waitFor();
      const before = await sourceOf(page);
      const isMenu = await page.locator(MENU).count();
      if (!isMenu) {
        const shown = await ghost(page);
        await page.keyboard.press('Tab');
        await until(() => sourceOf(page), before + shown);
        accepted++;
      }
    }
    assert.equal(await page.evaluate(() => window.both), 0);
    assert.ok(accepted > 0);
  });

  test('without a menu the keys are the usual ones', () => usualKeys(page));
});
