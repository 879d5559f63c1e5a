/** What becomes of suggestions is told in numbers, counted in the status item's menu, and forgotten on demand. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { editCell, GHOST, ghost, openFile, openLab, screenshot, textOf, writeNotebook } from './lab.mjs';

const SAID = 'sum([1, 2])';
const CELLS = ['a =', 'b =', 'c =', 'd ='];

describe('a threshold that learns', { timeout: 120_000 }, () => {
  let close;
  let lab;
  let page;
  const told = [];

  before(async () => {
    let browser;
    ({ lab, browser, close } = await openLab({
      says: SAID,
      learning: true,
      flags: ['--Turbopilot.kernel_facts=False']
    }));
    // Half a minute of typing goes by when the test says so.
    await browser.context.addInitScript(() => {
      const { performance } = window;
      const now = performance.now.bind(performance);
      window.later = 0;
      performance.now = () => now() + window.later;
    });
    writeNotebook(lab, 'learning.ipynb', CELLS);
    page = await openFile(browser.context, lab, 'learning.ipynb');
    page.on('request', request => {
      if (request.method() === 'POST' && request.url().includes('turbopilot/feedback')) {
        told.push(request.postDataJSON());
      }
    });
  });

  after(() => close?.());

  /** See a suggestion at the end of a cell. */
  async function see(index) {
    const cell = await editCell(page, index);
    await page.keyboard.type(' ');
    assert.equal(await ghost(page), SAID);
    return cell;
  }

  const gone = () => page.waitForFunction(selector => !document.querySelector(selector), GHOST);

  async function until(event) {
    for (let tries = 0; tries < 100; tries++) {
      const found = told.find(one => one.event === event);
      if (found) {
        return found;
      }
      await page.waitForTimeout(50);
    }
    throw new Error(`${event} was not told, but ${JSON.stringify(told)}.`);
  }

  const line = () => page.locator('.lm-Menu-itemLabel', { hasText: 'This Week' });

  /** Open the menu, in which the words come to stand within seconds. */
  async function menuSays(words) {
    await page.locator('.jp-Turbopilot-status').click();
    await line().filter({ hasText: words }).waitFor({ timeout: 10000 });
  }

  test('what is taken, typed over and dismissed is told, without a text', async () => {
    const cell = await see(0);
    await page.keyboard.press('Tab');
    await gone();
    assert.equal(await textOf(cell), `a = ${SAID}`);
    assert.equal((await until('taken')).chars, SAID.length);
    await see(1);
    await page.keyboard.type('sux', { delay: 80 });
    assert.equal((await until('typed_over')).chars, 2);
    await page.keyboard.press('Escape');
    await see(2);
    await page.keyboard.press('Escape');
    await gone();
    await until('dismissed');
    for (const event of told) {
      assert.deepEqual(Object.keys(event).sort(), ['chars', 'event', 'id', 'seconds']);
      assert.ok(event.seconds >= 0 && event.seconds < 60, `${event.seconds} s`);
    }
  });

  test('the menu counts what was shown and taken', async () => {
    const shown = new Set(told.filter(({ event }) => event === 'shown').map(({ id }) => id)).size;
    await menuSays(`Taken 1 of ${shown}, This Week`);
    await screenshot(page, 'learned-menu');
    await page.keyboard.press('Escape');
    assert.deepEqual((await lab.get('turbopilot/health')).week, { shown, taken: 1 });
  });

  test('after half a minute of typing it is told what is left of what was taken', async () => {
    await editCell(page, 0);
    await page.keyboard.press('Backspace');
    await editCell(page, 3);
    for (let key = 0; key < 8; key++) {
      await page.evaluate(() => (window.later += 4500));
      await page.keyboard.type('k');
    }
    assert.equal((await until('retained')).chars, SAID.length - 1);
    await page.keyboard.press('Escape');
  });

  test('a reset sets the counts back', async () => {
    await menuSays('Taken 1 of');
    await line().click();
    const dialog = page.locator('.jp-Dialog');
    await dialog.getByText(/you took 1\. From what you take/).waitFor();
    await screenshot(page, 'learned-dialog');
    await dialog.getByRole('button', { name: 'Reset' }).click();
    await page.locator('.Toastify__toast', { hasText: 'has forgotten what it learned' }).first().waitFor();
    assert.deepEqual((await lab.get('turbopilot/health')).week, { shown: 0, taken: 0 });
    await menuSays('None Suggested Yet');
    await screenshot(page, 'learned-reset');
  });
});
