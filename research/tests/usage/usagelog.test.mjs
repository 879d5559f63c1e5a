/** The usage log: its announcements, and the outcomes of suggestions in its file. */

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  editCell,
  execute,
  GHOST,
  ghost,
  openFile,
  openLab,
  screenshot,
  showsStatus,
  textOf,
  writeNotebook
} from '../../../labextension/ui-tests/lab.mjs';

const SAID = 'sum([1, 2])';

describe('the usage log', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let file;
  let lab;
  let page;

  const lines = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line));
  const health = async () => (await lab.get('turbopilot/health')).usage_log;

  async function until(found) {
    for (let tries = 0; ; tries++) {
      const now = lines();
      if (found(now)) {
        return now;
      }
      assert.ok(tries < 100, JSON.stringify(now));
      await page.waitForTimeout(100);
    }
  }

  /** Show a suggestion in an otherwise empty cell. */
  async function suggested(cell, name) {
    const editor = await editCell(page, cell);
    await page.keyboard.press('Control+a');
    await page.keyboard.type(`${name} = `, { delay: 60 });
    assert.equal(await ghost(page), SAID);
    return editor;
  }

  before(async () => {
    ({ lab, browser, close } = await openLab({
      says: SAID,
      flags: ['--Turbopilot.kernel_context=False', '--Turbopilot.usage_log=~/study.jsonl'],
      home: true
    }));
    file = path.join(lab.home, 'study.jsonl');
    writeNotebook(lab, 'secret-name.ipynb', ['', '', '']);
    page = await openFile(browser.context, lab, 'secret-name.ipynb');
  });

  after(() => close?.());

  test('is shown in the status bar and first in its menu, which describes its contents', async () => {
    await showsStatus(page, 'usage log');
    await page.locator('.jp-Turbopilot-status').click();
    const items = page.locator('.lm-Menu-item:visible:not([data-type="separator"])');
    await items.first().waitFor();
    assert.equal((await items.first().innerText()).trim(), 'Usage Log…');
    await screenshot(page, 'study-menu');
    await items.first().click();
    const dialog = page.locator('.jp-Dialog');
    await dialog.waitFor();
    assert.ok((await dialog.innerText()).includes('study.jsonl'));
    await screenshot(page, 'study-dialog');
    await dialog.getByRole('button', { name: 'Ok' }).click();
  });

  test('is shown in a narrow window and in the tooltip', async () => {
    await page.setViewportSize({ width: 620, height: 700 });
    const item = page.locator('.jp-Turbopilot-status');
    await item.filter({ hasText: 'usage log' }).waitFor();
    const cut = await item.evaluate(element =>
      [element, ...element.querySelectorAll('*')].some(
        one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth
      )
    );
    assert.ok(!cut, 'something of the status is cut off');
    assert.match(await item.getAttribute('title'), /Usage log: on/);
    await screenshot(page, 'study-narrow');
    await page.setViewportSize({ width: 1180, height: 760 });
  });

  test('is reported in a notification while the status bar is hidden', async () => {
    const toast = page.locator('.Toastify__toast', { hasText: 'logs your suggestions' });
    assert.equal(await toast.count(), 0);
    await execute(page, 'statusbar:toggle');
    await toast.waitFor();
    await screenshot(page, 'study-notification');
    await toast.getByRole('button', { name: 'More…' }).click();
    const dialog = page.locator('.jp-Dialog');
    await dialog.waitFor();
    assert.ok((await dialog.innerText()).includes('not sent anywhere'));
    await dialog.getByRole('button', { name: 'Ok' }).click();
    await execute(page, 'statusbar:toggle');
    await page.locator('.jp-Turbopilot-status').waitFor();
  });

  test('contains the outcomes of suggestions in numbers', async () => {
    const cell = await suggested(0, 'taken');
    await page.keyboard.press('Tab');
    await page.waitForTimeout(300);
    assert.equal(await textOf(cell), `taken = ${SAID}`);
    await page.keyboard.press('Control+Enter');
    await page.keyboard.press('Control+Enter'); // only the first run is reported
    await suggested(1, 'dismissed');
    await page.keyboard.press('Escape');
    await page.waitForFunction(selector => !document.querySelector(selector), GHOST);
    await suggested(2, 'typed');
    await page.keyboard.type('5', { delay: 60 });
    await until(all => all.some(one => one.event === 'typed_over'));
    await page.close(); // a closing page reports the retained text
    page = await openFile(browser.context, lab, 'demo.ipynb');
    const all = await until(found => found.some(one => one.event === 'retained'));
    const session = all[0];
    assert.equal(session.schema, 'https://events.jupyter.org/jupyter_turbopilot/usage_log/v1');
    assert.ok(!session.has_text);
    const story = event => all.filter(one => one.event === event);
    const taken = story('accepted')[0];
    assert.equal(taken.chars, SAID.length);
    const [own] = all.filter(one => one.event === 'requested' && one.id === taken.id);
    assert.equal(own.at, 'after =');
    assert.ok(own.ms >= 0 && own.requests >= 1);
    // It is shown as soon as a prefix of it is certain.
    const shown = story('shown').filter(one => one.id === taken.id);
    assert.ok(shown.length >= 1 && shown.every(one => one.chars > 0 && one.chars <= SAID.length));
    for (const event of ['executed', 'retained']) {
      assert.deepEqual(
        story(event).map(one => [one.id, one.chars]),
        [[taken.id, SAID.length]]
      );
    }
    assert.ok(story('dismissed').length >= 1);
    assert.ok(all.reduce((sum, one) => sum + (one.written ?? 0), 0) >= 20);
    const text = readFileSync(file, 'utf8');
    for (const word of ['secret-name', 'ipynb', 'sum(', lab.home, lab.work]) {
      assert.ok(!text.includes(word), `${word} is in the log`);
    }
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(await health(), { text: false, file, error: null });
  });
});
