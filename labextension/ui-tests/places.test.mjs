/** The first run without a model, Notebook 7, the console, read-only and composed text. */

import assert from 'node:assert/strict';
import { createReadStream, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  defaultModel,
  editCell,
  GHOST,
  ghost,
  openFile,
  openLab,
  RECTANGLE,
  screenshot,
  textOf,
  writeNotebook
} from './lab.mjs';

describe('without a model', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let lab;
  let source;
  let folder;
  let broken = true;

  before(async () => {
    const model = defaultModel();
    // Plays Hugging Face with the real file.
    source = createServer((request, response) => {
      if (broken) {
        response.writeHead(503).end();
        return;
      }
      const size = statSync(model).size;
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.writeHead(start ? 206 : 200, { 'Content-Length': size - start, ETag: '"v1"' });
      createReadStream(model, { start }).pipe(response);
    });
    await new Promise(resolve => source.listen(0, '127.0.0.1', resolve));
    folder = mkdtempSync(path.join(tmpdir(), 'turbopilot-models-'));
    mkdirSync(folder, { recursive: true });
    ({ lab, browser, close } = await openLab({
      loaded: false,
      environment: {
        TURBOPILOT_MODELS: folder,
        HF_ENDPOINT: `http://127.0.0.1:${source.address().port}`
      }
    }));
  });

  after(async () => {
    await close?.();
    source?.close();
    if (folder) {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('the download is offered, shows progress, survives a failure, and grey text begins without a restart', async () => {
    writeNotebook(lab, 'first.ipynb', [RECTANGLE]);
    const page = await openFile(browser.context, lab, 'first.ipynb');
    const offer = page.locator('.Toastify__toast', { hasText: '491 MB' });
    await offer.waitFor({ timeout: 30000 });
    await screenshot(page, 'offer');
    assert.match(await page.locator('.jp-Turbopilot-status').innerText(), /no model/);
    await editCell(page, 0);
    await page.keyboard.type('.');
    await page.waitForTimeout(800);
    assert.equal(await page.locator(GHOST).count(), 0);
    await page.keyboard.press('Backspace');
    await offer.getByRole('button', { name: 'Download' }).click();
    // The publisher does not answer: the mirror is offered, not used.
    const failed = page.locator('.Toastify__toast', { hasText: 'could not be fetched' });
    await failed.waitFor({ timeout: 30000 });
    await screenshot(page, 'failed');
    assert.ok(await failed.getByRole('button', { name: 'Use the mirror' }).count());
    broken = false;
    await failed.getByRole('button', { name: 'Try again' }).click();
    await page.waitForFunction(
      () => /\d+ MB of 491 MB|against its digest/.test(document.body.innerText),
      null,
      {
        timeout: 30000
      }
    );
    await screenshot(page, 'progress');
    await page.waitForFunction(
      () => document.querySelector('.jp-Turbopilot-status').textContent.includes('ready'),
      null,
      { timeout: 60000 }
    );
    const cell = await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    await page.keyboard.press('Tab');
    await page.waitForTimeout(300);
    assert.equal(await textOf(cell), `${RECTANGLE}.height`);
    await page.close();
  });
});

describe('in other places', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let lab;

  before(async () => {
    // JupyterLab's own history provider is on as well.
    const history = {
      enabled: true,
      autoFillInMiddle: true,
      timeout: 5000,
      debouncerDelay: 0,
      maxSuggestions: 9
    };
    ({ lab, browser, close } = await openLab({
      settings: {
        '@jupyterlab/completer-extension:inline-completer': {
          providers: { '@jupyterlab/inline-completer:history': history }
        }
      }
    }));
  });

  after(() => close?.());

  test('beside another provider there is one grey text', async () => {
    writeNotebook(lab, 'beside.ipynb', [RECTANGLE]);
    const page = await openFile(browser.context, lab, 'beside.ipynb');
    await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    assert.equal(await page.locator(GHOST).count(), 1);
    await page.close();
  });

  test('the console has it', async () => {
    writeNotebook(lab, 'any.ipynb', ['1']);
    const page = await openFile(browser.context, lab, 'any.ipynb');
    await editCell(page, 0); // the notebook comes to the front when it is loaded
    await page.evaluate(() =>
      window.jupyterapp.commands.execute('console:create', {
        kernelPreference: { name: 'python3', autoStartDefault: true }
      })
    );
    const prompt = page.locator('.jp-CodeConsole-promptCell .cm-content');
    await prompt.waitFor({ timeout: 60000 });
    await prompt.click();
    await page.keyboard.insertText(RECTANGLE);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    await screenshot(page, 'console');
    await page.close();
  });

  test('read-only cells and text that is being composed ask nothing', async () => {
    writeNotebook(lab, 'composed.ipynb', [
      RECTANGLE,
      { cell_type: 'code', source: 'z = 3', metadata: { editable: false } }
    ]);
    const page = await openFile(browser.context, lab, 'composed.ipynb');
    const asked = [];
    page.on('request', request => {
      // A cell that gets the focus may be read ahead of time.
      if (request.url().includes('turbopilot/complete') && request.postDataJSON().trigger !== 'warm') {
        asked.push(request.url());
      }
    });
    await editCell(page, 1);
    await page.keyboard.press('Alt+\\');
    await page.waitForTimeout(800);
    assert.deepEqual(asked, []);
    await editCell(page, 0);
    const session = await page.context().newCDPSession(page);
    await session.send('Input.imeSetComposition', { text: 'に', selectionStart: 1, selectionEnd: 1 });
    await page.waitForTimeout(800);
    assert.deepEqual(asked, []);
    await session.send('Input.insertText', { text: '.' });
    assert.equal(await ghost(page), 'height');
    assert.ok(asked.length >= 1);
    await page.close();
  });

  test('Notebook 7 has it', async () => {
    writeNotebook(lab, 'classic.ipynb', [RECTANGLE]);
    const page = await browser.context.newPage();
    await page.goto(`${lab.url}/notebooks/classic.ipynb?token=${lab.token}`);
    await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    await screenshot(page, 'notebook-7');
    await page.keyboard.press('Tab');
    await page.waitForTimeout(300);
    assert.equal(await textOf(page.locator('.jp-Notebook .jp-Cell').first()), `${RECTANGLE}.height`);
    await page.close();
  });

  test('the settings are in the settings editor', async () => {
    writeNotebook(lab, 'settings.ipynb', [RECTANGLE]);
    const page = await openFile(browser.context, lab, 'settings.ipynb');
    await page.evaluate(() => window.jupyterapp.commands.execute('turbopilot:open-settings'));
    await page.waitForSelector('text=Disabled languages', { timeout: 30000 });
    await screenshot(page, 'settings');
    await page.close();
  });
});
