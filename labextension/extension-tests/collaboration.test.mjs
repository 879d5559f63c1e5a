/** Two users with a browser each in one notebook, with jupyter-collaboration. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  editCell,
  ghost,
  gone,
  openBrowser,
  openFile,
  openLab,
  setCells,
  writeNotebook
} from '../ui-tests/lab.mjs';
import { SUGGESTED, listen, sourceOf, until } from './environment.mjs';

const TOP = 'a = 1\nb = 2';

describe('two users in one notebook', { timeout: 300_000 }, () => {
  let asked;
  let close;
  let mine;
  let theirs;

  before(async () => {
    const opened = await openLab({
      says: SUGGESTED,
      flags: ['--Turbopilot.kernel_context=False'],
      extensions: ['@jupyter/collaboration-extension', '@jupyter/docprovider-extension']
    });
    const other = await openBrowser();
    close = () => Promise.all([other.close(), opened.close()]);
    writeNotebook(opened.lab, 'shared.ipynb', ['', '']);
    mine = await openFile(opened.browser.context, opened.lab, 'shared.ipynb');
    theirs = await openFile(other.context, opened.lab, 'shared.ipynb');
    asked = listen(mine);
  });

  after(() => close?.());

  /** Wait until a cell has this text for both users. */
  const both = async (text, index = 0) => {
    for (const page of [mine, theirs]) {
      await until(() => sourceOf(page, index), text);
    }
  };

  /** Put a user's cursor at an offset of the first cell. */
  async function place(page, offset) {
    await editCell(page, 0);
    await page.evaluate(at => {
      const { editor } = window.jupyterapp.shell.currentWidget.content.activeCell;
      editor.setCursorPosition(editor.getPositionAt(at));
    }, offset);
  }

  /** Begin anew with this text: the first user's cursor is at its end, the other's at an offset. */
  async function begin(text, offset) {
    await setCells(mine, [text, 'x = 1']);
    await both(text);
    await both('x = 1', 1);
    await place(theirs, offset);
    await editCell(mine, 0);
    asked.length = 0;
  }

  /** Press a key at the end of a text, which then has ghost text there. */
  async function suggest(text, key = 'f', typed = key) {
    await mine.keyboard.press(key);
    assert.equal(await ghost(mine), SUGGESTED);
    await both(text + typed);
    asked.length = 0;
  }

  test('another user’s typing requests nothing, even before any own keystroke', async () => {
    await begin(`${TOP}\ntotal = `, 5);
    await theirs.keyboard.type('23');
    await both('a = 123\nb = 2\ntotal = ');
    await mine.keyboard.press('f');
    assert.equal(await ghost(mine), SUGGESTED);
    assert.equal(asked.length, 1); // for the own keystroke
  });

  const edits = {
    'in a line above': ['3', 'a = 13\nb = 2'],
    'of the letter that the ghost text begins with': ['_', 'a = 1_\nb = 2'],
    'that inserts a line above': ['Enter', 'a = 1\n\nb = 2'],
    'that deletes a character above': ['Backspace', 'a = \nb = 2']
  };
  for (const [name, [key, edited]] of Object.entries(edits)) {
    for (const [where, line, own, typed] of [
      ['in a line', '\ntotal = ', 'f', 'f'],
      ['on an empty line', '', 'Enter', '\n']
    ]) {
      test(`an edit ${name} dismisses ghost text ${where}`, async () => {
        await begin(TOP + line, 5);
        await suggest(TOP + line, own, typed);
        await theirs.keyboard.press(key);
        await both(edited + line + typed);
        await gone(mine);
        assert.deepEqual(asked, []);
        await suggest(edited + line + typed);
        await mine.keyboard.press('Tab');
        await both(`${edited}${line}${typed}f${SUGGESTED}`);
      });
    }
  }

  test('an edit in the same line before the cursor dismisses ghost text', async () => {
    await begin(`${TOP}\ntotal = `, TOP.length + 1);
    await suggest(`${TOP}\ntotal = `);
    await theirs.keyboard.type('sub');
    await both(`${TOP}\nsubtotal = f`);
    await gone(mine);
    assert.deepEqual(asked, []);
  });

  test('an edit in another cell leaves ghost text as it is', async () => {
    await begin(`${TOP}\ntotal = `, 0);
    await editCell(theirs, 1);
    await suggest(`${TOP}\ntotal = `);
    await theirs.keyboard.type('23f');
    await both('x = 123f', 1);
    assert.equal(await ghost(mine), SUGGESTED);
    assert.deepEqual(asked, []);
    await mine.keyboard.press('Tab');
    await both(`${TOP}\ntotal = f${SUGGESTED}`);
  });

  test('what both type at once in one cell is kept', async () => {
    await begin(`${TOP}\ntotal = `, 5);
    await Promise.all([
      mine.keyboard.type('alpha + beta', { delay: 35 }),
      theirs.keyboard.type('234567890', { delay: 40 })
    ]);
    await both('a = 1234567890\nb = 2\ntotal = alpha + beta');
    await mine.keyboard.type('f');
    assert.equal(await ghost(mine), SUGGESTED);
    await mine.keyboard.press('Tab');
    await both(`a = 1234567890\nb = 2\ntotal = alpha + betaf${SUGGESTED}`);
  });
});
