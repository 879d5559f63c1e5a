/** The moving picture of the documentation: typing in a real notebook, with the real model. UPDATE_PICTURES=1 takes it. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { editCell, ghost, openFile, openLab, RESULTS, ROOT, textOf, writeNotebook } from './lab.mjs';

const POINT = `class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        `;
const FOLDER = path.join(RESULTS, 'moving');
const CLIP = { x: 0, y: 0, width: 860, height: 430 };
const KEY = 110; // milliseconds

describe('the moving picture', { timeout: 300_000, skip: !process.env.UPDATE_PICTURES }, () => {
  let close;
  let lab;
  let browser;

  before(async () => {
    ({ lab, browser, close } = await openLab({ eagerness: 'balanced' }));
  });

  after(() => close?.());

  test('shows grey text, what Tab does, and an import that comes with a suggestion', async () => {
    writeNotebook(lab, 'geometry.ipynb', [POINT, '', '']);
    const page = await openFile(browser.context, lab, 'geometry.ipynb');
    await page.setViewportSize({ width: CLIP.width, height: 560 });
    await page.evaluate(() => window.jupyterapp.commands.execute('application:toggle-left-area'));
    await page.evaluate(() =>
      window.jupyterapp.commands.execute('application:set-mode', { mode: 'single-document' })
    );
    mkdirSync(FOLDER, { recursive: true });
    const frames = [];

    /** Take a frame that is shown for some time. */
    async function frame(milliseconds) {
      const name = `${String(frames.length).padStart(3, '0')}.png`;
      await page.screenshot({ path: path.join(FOLDER, name), caret: 'initial', clip: CLIP });
      frames.push([name, milliseconds]);
    }

    /** Type as a person does, and look at each key what has come. */
    async function type(text) {
      for (const key of text) {
        await page.keyboard.type(key);
        await page.waitForTimeout(250);
        await frame(KEY);
      }
    }

    const first = await editCell(page, 0);
    await page.waitForTimeout(4000); // the cell is read
    await frame(900);
    await type('ret');
    assert.match(await ghost(page), /^urn Point\(self\.x \+ other\.x, self\.y \+ other\.y\)/);
    await frame(1600);
    await page.keyboard.press('Tab');
    await page.waitForTimeout(400);
    assert.match(await textOf(first), /return Point\(self\.x \+ other\.x, self\.y \+ other\.y\)/);
    await frame(1400);

    const second = await editCell(page, 1);
    await page.waitForTimeout(3000);
    await frame(500);
    await type('fig, ax =');
    await page.keyboard.type(' ');
    assert.match(await ghost(page), /plt\.subplots/);
    await page.waitForTimeout(400);
    await frame(2200);
    await page.keyboard.press('Tab');
    await page.waitForTimeout(400);
    assert.match(await textOf(second), /^import matplotlib\.pyplot as plt\nfig, ax = plt\.subplots/);
    await frame(2600);

    const listed = path.join(FOLDER, 'frames.json');
    writeFileSync(listed, JSON.stringify(frames));
    const python = path.join(path.dirname(process.env.JUPYTER), 'python');
    const out = path.join(ROOT, 'docs', 'ghost-text-moving.png');
    const done = spawnSync(python, [path.join(ROOT, 'scripts', 'moving_picture.py'), listed, out], {
      encoding: 'utf8'
    });
    assert.equal(done.status, 0, done.stderr);
    await page.close();
  });
});
