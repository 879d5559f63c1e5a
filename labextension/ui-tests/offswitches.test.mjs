/** Off switches: of a notebook, of the administrator, and for everything at once. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  editCell,
  execute,
  GHOST,
  ghost,
  gone,
  openFile,
  openLab,
  openTab,
  screenshot,
  showsStatus,
  textOf,
  writeNotebook
} from './lab.mjs';

const SAID = 'sum([1, 2])';
/** Milliseconds in which a suggestion would appear. */
const ENOUGH = 1500;

/** Functions for a page: its status, its requests for completions, and typing into its notebook. */
function follow(page) {
  const requests = [];
  const aborted = [];
  const isCompletion = request => request.url().includes('/turbopilot/complete');
  page.on('request', request => isCompletion(request) && requests.push(request.postDataJSON()));
  page.on('requestfailed', request => isCompletion(request) && aborted.push(request));
  let lines = 0;
  return {
    requests,
    aborted,
    run: command => execute(page, command),
    toast: text => page.locator('.Toastify__toast', { hasText: text }).first(),
    shows: text => showsStatus(page, text, 10_000),
    /** Type a line without a cached suggestion into the first cell of the current notebook. */
    async type() {
      await page.locator('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell .cm-content').first().click();
      await page.keyboard.press('Control+a');
      await page.keyboard.insertText(`a_${++lines}`);
      await page.keyboard.type(' = ', { delay: 60 });
    },
    async expectNothing() {
      await page.waitForTimeout(ENOUGH);
      assert.equal(await page.locator(GHOST).count(), 0);
    }
  };
}

describe('the off switches', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let lab;
  let page;
  let on;

  before(async () => {
    ({ lab, browser, close } = await openLab({
      says: SAID,
      flags: ['--Turbopilot.denied_paths=exams/**'],
      settings: { 'jupyter-turbopilot:plugin': { engine: 'auto' } }
    }));
    writeNotebook(lab, 'own.ipynb', ['a = ']);
    writeNotebook(lab, 'invalid.ipynb', ['a = '], { turbopilot: { enabled: 'no' } });
    mkdirSync(path.join(lab.work, 'exams', 'day 1'), { recursive: true });
    writeNotebook(lab, 'exams/day 1/exam.ipynb', ['a = ']);
    page = await openFile(browser.context, lab, 'own.ipynb');
    on = follow(page);
  });

  after(() => close?.());

  test('a notebook is disabled by a command, and the file says so', async () => {
    await on.type();
    assert.equal(await ghost(page), SAID);
    await on.run('turbopilot:disable-in-notebook');
    await gone(page);
    await on.shows('off (this notebook)');
    const before = on.requests.length;
    await on.type();
    await on.expectNothing();
    assert.equal(on.requests.length, before);
    await page.keyboard.press('Alt+\\');
    await on.toast('off in this notebook').waitFor();
    await on.run('docmanager:save');
    const saved = () =>
      JSON.parse(readFileSync(path.join(lab.work, 'own.ipynb'), 'utf8')).metadata.turbopilot;
    assert.deepEqual(saved(), { enabled: false });
    await on.run('turbopilot:disable-in-notebook');
    await on.shows('ready');
    await on.run('docmanager:save');
    assert.equal(saved(), undefined);
    await on.type();
    assert.equal(await ghost(page), SAID);
  });

  test('an invalid value disables suggestions with one message', async () => {
    await openTab(page, 'invalid.ipynb');
    await on.toast('must be true or false').waitFor();
    assert.equal(await page.locator('.Toastify__toast', { hasText: 'true or false' }).count(), 1);
    await on.shows('off (this notebook)');
    await on.type();
    await on.expectNothing();
    await on.run('turbopilot:disable-in-notebook');
    await on.shows('ready');
    await on.type();
    assert.equal(await ghost(page), SAID);
  });

  test('the server refuses a denied folder, and the page says so', async () => {
    await openTab(page, 'exams/day 1/exam.ipynb');
    await page.waitForFunction(() =>
      window.jupyterapp.shell.currentWidget?.context?.path?.startsWith('exams/')
    );
    await on.type();
    await on.shows('off (administrator)');
    const before = on.requests.length;
    await on.type();
    await on.expectNothing();
    assert.equal(on.requests.length, before);
    await page.keyboard.press('Alt+\\');
    await on.toast('Your administrator has turned suggestions off').waitFor();
    assert.equal(await page.locator('.Toastify__toast--warning, .Toastify__toast--error').count(), 0);
    await page.evaluate(async () => {
      const registry = window.jupyterapp.serviceManager.settings;
      const { raw } = await registry.fetch('jupyter-turbopilot:plugin');
      await registry.save(
        'jupyter-turbopilot:plugin',
        JSON.stringify({ ...JSON.parse(raw), engine: 'browser' })
      );
    });
    await page.reload();
    await page.waitForSelector('.jp-Turbopilot-status', { timeout: 60_000 });
    await openTab(page, 'exams/day 1/exam.ipynb');
    await page.waitForFunction(() =>
      window.jupyterapp.shell.currentWidget?.context?.path?.startsWith('exams/')
    );
    await on.type();
    await on.shows('off (administrator)');
    await on.expectNothing();
    await screenshot(page, 'denied');
  });

  test('one shortcut stops everything until it is pressed again', async () => {
    await openTab(page, 'own.ipynb');
    await on.shows('ready');
    await page.route('**/turbopilot/complete*', () => undefined);
    await on.type();
    await on.shows('generating');
    const before = on.aborted.length;
    await page.keyboard.press('Control+Alt+.');
    await on.shows('off (until reload)');
    await page.waitForTimeout(200);
    assert.ok(on.aborted.length > before);
    await page.unroute('**/turbopilot/complete*');
    const sent = on.requests.length;
    await on.type();
    await on.expectNothing();
    assert.equal(on.requests.length, sent);
    await page.keyboard.press('Control+Alt+.');
    await on.shows('ready');
    await on.type();
    assert.equal(await ghost(page), SAID);
    await page.keyboard.press('Control+Alt+.');
    await gone(page);
    await page.keyboard.press('Control+Alt+.');
  });
});

describe('a server that is switched off', { timeout: 300_000 }, () => {
  test('is shown without an error', async () => {
    const { lab, browser, close } = await openLab({
      says: SAID,
      loaded: false,
      settings: { 'jupyter-turbopilot:plugin': { engine: 'browser' } },
      flags: ['--Turbopilot.enabled=True'],
      environment: { TURBOPILOT_ENABLED: '0' }
    });
    try {
      writeNotebook(lab, 'own.ipynb', ['a = ']);
      const page = await openFile(browser.context, lab, 'own.ipynb');
      const on = follow(page);
      await on.shows('off (administrator)');
      const cell = await editCell(page, 0);
      await page.keyboard.type('1, ', { delay: 60 });
      await on.expectNothing();
      assert.equal(await textOf(cell), 'a = 1, ');
      assert.deepEqual(on.requests, []);
      await page.waitForTimeout(6000); // two further checks of the health
      assert.equal(await page.locator('.Toastify__toast').count(), 0);
    } finally {
      await close();
    }
  });
});
