/** A model in a child process, in a real browser. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { editCell, GHOST, ghost, openFile, openLab, RECTANGLE, screenshot, writeNotebook } from './lab.mjs';

/** Seconds until ghost text must return: the time to load the model and for a suggestion. */
const SOON = 20_000;

/** The engine process of a server. */
function childOf(parent) {
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const above = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[1];
      if (command.includes('engine.child_process') && Number(above) === parent) {
        return Number(pid);
      }
    } catch {
      // It has ended meanwhile.
    }
  }
  return null;
}

describe('a model in a child process', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let lab;

  before(async () => {
    ({ lab, browser, close } = await openLab({ flags: ['--Turbopilot.subprocess=True'] }));
  });

  after(() => close?.());

  test('ghost text returns after the process is killed while the user types', async () => {
    writeNotebook(lab, 'killed.ipynb', [RECTANGLE]);
    const page = await openFile(browser.context, lab, 'killed.ipynb');
    await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    const first = childOf(lab.pid());
    assert.ok(first, 'there is no child process');
    process.kill(first, 'SIGKILL');
    await page.keyboard.type('w', { delay: 60 });
    await page.waitForTimeout(300);
    await screenshot(page, 'engine-killed');
    // Not an earlier text: the page would show its cached suggestion.
    const typed = async () => {
      await page.keyboard.press('Backspace');
      await page.keyboard.type('w', { delay: 60 });
    };
    const end = Date.now() + SOON;
    await typed();
    while (!(await page.locator(GHOST).count()) && Date.now() < end) {
      await page.waitForTimeout(500);
      await typed();
    }
    assert.match(await ghost(page), /^\w+/);
    await screenshot(page, 'engine-back');
    const second = childOf(lab.pid());
    assert.ok(second && second !== first, 'the same process');
    assert.equal(await page.locator('.jp-Notebook .jp-Cell').count(), 1);
    await page.close();
  });
});
