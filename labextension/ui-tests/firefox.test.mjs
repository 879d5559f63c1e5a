/** The static page and a JupyterLite site in Firefox, if it is installed. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { firefox } from 'playwright-core';
import { editCell, GHOST, screenshot, textOf } from './lab.mjs';
import { BEGUN, buildPage, modelIn, openLite, REST, serveSite, typeBegun } from './site.mjs';

const FIREFOX = [process.env.FIREFOX_BIN, '/usr/bin/firefox', '/usr/bin/firefox-esr'].find(
  candidate => candidate && existsSync(candidate)
);
// This channel drives the installed Firefox with WebDriver BiDi.
const launch = () => firefox.launch({ channel: 'moz-firefox', executablePath: FIREFOX });
const skip = FIREFOX
  ? await isTooOld()
  : 'Firefox is not installed (on Debian: sudo apt-get install firefox-esr)';

/** Return why this Firefox cannot be driven, or false. */
async function isTooOld() {
  try {
    await (await launch()).close();
    return false;
  } catch (error) {
    if (String(error).includes('unknown command')) {
      return 'this Firefox lacks commands of WebDriver BiDi that playwright-core needs: install a newer one';
    }
    throw error;
  }
}

async function openFirefox() {
  const browser = await launch();
  const context = await browser.newContext({ viewport: { width: 1180, height: 760 } });
  return { context, close: () => browser.close() };
}

describe('Firefox', { timeout: 120_000, skip }, () => {
  const close = [];
  after(() => Promise.all(close.reverse().map(end => end())));

  test('the static page shows ghost text that Tab accepts', async () => {
    const { folder, remove } = buildPage();
    close.push(remove);
    const site = await serveSite(folder, { files: modelIn('') });
    close.push(site.stop);
    const browser = await openFirefox();
    close.push(browser.close);
    const page = await browser.context.newPage();
    await page.goto(site.url);
    await page.locator('.cm-content').click();
    await page.keyboard.insertText(BEGUN.slice(0, -1));
    await page.keyboard.type(BEGUN.at(-1));
    await page.locator('.ghost', { hasText: REST }).waitFor({ timeout: 20_000 });
    await screenshot(page, 'firefox-page');
    await page.keyboard.press('Tab');
    await page.waitForSelector('.ghost', { state: 'detached' });
    assert.match(await page.locator('.cm-content').innerText(), /return width \* height$/);
  });

  test('a notebook in JupyterLite shows ghost text that Tab accepts', async () => {
    const lite = await openLite({}, openFirefox);
    close.push(lite.close);
    const page = await lite.open(await lite.serve());
    const cell = await editCell(page, 0);
    assert.equal(await typeBegun(page), REST);
    await screenshot(page, 'firefox-lite');
    await page.keyboard.press('Tab');
    await page.waitForSelector(GHOST, { state: 'detached' });
    assert.equal(await textOf(cell), BEGUN + REST);
  });
});
