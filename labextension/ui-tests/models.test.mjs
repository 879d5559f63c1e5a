/** The Models panel, with the keyboard and in dark mode, and the first run without a model. */

import assert from 'node:assert/strict';
import {
  copyFileSync,
  createReadStream,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  defaultModel,
  editCell,
  ghost,
  holds,
  openFile,
  openLab,
  RECTANGLE,
  ROOT,
  runPython,
  screenshot,
  showsStatus,
  writeNotebook
} from './lab.mjs';

/** Link a file to another path, or copy it to another disk. */
function linkOrCopy(source, target) {
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}

/** Link a model's copies with merged adapters, which take minutes to make. */
function linkCopies(model, folder) {
  const tuned = path.join(path.dirname(model), 'tuned');
  mkdirSync(path.join(folder, 'tuned'));
  for (const name of readdirSync(tuned).filter(name => name.endsWith('.gguf'))) {
    linkOrCopy(path.join(tuned, name), path.join(folder, 'tuned', name));
  }
}

describe('the Models panel', { timeout: 300_000 }, () => {
  let browser;
  let folder;
  let close;
  let lab;
  let page;
  let slow = false;
  let halves = 0;
  let source;

  const row = name => page.locator(`.jp-Turbopilot-models tr[data-model="${name}"]`);
  /** Wait until a row, or something in it, has the focus. */
  const focusIn = name =>
    page.waitForFunction(model => document.activeElement.closest('tr')?.dataset.model === model, name);
  const message = () => page.locator('.jp-Turbopilot-message');

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'turbopilot-models-'));
    const real = defaultModel();
    runPython(
      `import sys; sys.path.insert(0, ${JSON.stringify(ROOT)})\n` +
        'from pathlib import Path\n' +
        'from tests.tiny_model import write_tiny_model\n' +
        `write_tiny_model(Path(${JSON.stringify(path.join(folder, 'tiny.gguf'))}))`
    );
    linkOrCopy(real, path.join(folder, path.basename(real)));
    const note = `.${path.basename(real)}.json`;
    linkOrCopy(path.join(path.dirname(real), note), path.join(folder, note));
    linkCopies(real, folder);
    // A file that passes the extension's check but not llama.cpp's.
    const bad = readFileSync(path.join(folder, 'tiny.gguf'));
    const at = bad.indexOf('general.architecture') + 'general.architecture'.length + 4 + 8;
    bad.write('xxxxx', at);
    writeFileSync(path.join(folder, 'bad.gguf'), bad);
    const file = readFileSync(path.join(folder, 'tiny.gguf'));
    source = createServer((request, response) => {
      response.setHeader('Content-Length', file.length);
      if (request.method === 'HEAD') {
        response.end();
      } else if (slow) {
        response.write(file.subarray(0, file.length / 2), () => halves++);
      } else {
        response.end(file);
      }
    });
    await new Promise(resolve => source.listen(0, '127.0.0.1', resolve));
    ({ lab, browser, close } = await openLab({
      environment: {
        TURBOPILOT_MODELS: folder,
        HF_ENDPOINT: `http://127.0.0.1:${source.address().port}`
      },
      settings: { '@jupyterlab/apputils-extension:themes': { theme: 'JupyterLab Dark' } }
    }));
    writeNotebook(lab, 'one.ipynb', ['x = 1']);
    page = await openFile(browser.context, lab, 'one.ipynb');
    await page.locator('.jp-Turbopilot-status').click();
    await page.getByText('Models…').first().click();
    await row('qwen2.5-coder-0.5b').waitFor();
  });

  after(async () => {
    await close?.();
    source?.closeAllConnections();
    source?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('lists stored and suitable models, and all on request', async () => {
    await screenshot(page, 'models-dark');
    assert.match(await row('qwen2.5-coder-0.5b').innerText(), /491 MB[\s\S]*In use/);
    assert.equal(await row('codegen-16b-mono').count(), 0);
    await page.getByLabel('Also show models that are too large or slow for this machine').check();
    await row('codegen-16b-mono').waitFor();
    assert.match(await row('incoder-1b').innerText(), /Requires transformers/);
    await screenshot(page, 'models-all');
    await page.getByLabel('Also show models that are too large or slow for this machine').uncheck();
  });

  test('disables and enables the adapter of the default model', async () => {
    const tuned = row('qwen2.5-coder-0.5b');
    assert.match(await tuned.innerText(), /Tuned: notebooks/);
    await tuned.locator('summary').focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await tuned.getByText('Tuning off: notebooks').waitFor({ timeout: 60000 });
    await page.waitForFunction(() => /qwen2.5-coder-0.5b is ready/.test(document.body.innerText), null, {
      timeout: 60000
    });
    await screenshot(page, 'models-published');
    assert.equal(await tuned.locator('summary').evaluate(node => node === document.activeElement), true);
    await tuned.locator('summary').click();
    await tuned.getByRole('button', { name: 'Use With Tuning' }).click();
    await tuned.getByText('Tuned: notebooks').waitFor({ timeout: 60000 });
  });

  test('shows and stops a download, and uses a downloaded model', async () => {
    // The estimated speed is lower on a busy machine.
    await page.getByLabel('Also show models that are too large or slow for this machine').check();
    await page.getByLabel('Also show models that were not measured').check();
    slow = true;
    const menu = row('qwen2.5-coder-0.5b').locator('details');
    await menu.locator('summary').click();
    const stop = row('smollm2-360m').getByRole('button', { name: 'Stop' });
    await row('smollm2-360m').getByRole('button', { name: 'Download' }).focus();
    await page.keyboard.press('Enter');
    await stop.waitFor();
    assert.equal(await row('smollm2-360m').locator('progress').count(), 1);
    assert.equal(await menu.evaluate(element => element.open), true);
    await menu.locator('summary').click();
    await screenshot(page, 'models-fetching');
    for (let tries = 0; tries < 200 && !halves; tries++) {
      await page.waitForTimeout(50); // asked for later, all of it would come
    }
    slow = false;
    source.closeAllConnections();
    await stop.waitFor({ state: 'detached', timeout: 30000 });
    const order = () =>
      page.locator('.jp-Turbopilot-models tbody tr').evaluateAll(rows => rows.map(one => one.dataset.model));
    const before = await order();
    await row('smollm2-360m').getByRole('button', { name: 'Download' }).click();
    await row('smollm2-360m').getByRole('button', { name: 'Use' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => /smollm2-360m is ready/.test(document.body.innerText), null, {
      timeout: 30000
    });
    await row('smollm2-360m').getByText('In use').waitFor();
    assert.deepEqual(await order(), before);
    await focusIn('smollm2-360m');
  });

  test('reports a model that does not load and keeps the previous one', async () => {
    await row('bad.gguf').getByRole('button', { name: 'Use' }).click();
    await page.locator('.jp-Turbopilot-message.jp-mod-error').waitFor({ timeout: 60000 });
    assert.match(await message().innerText(), /bad\.gguf/);
    await screenshot(page, 'models-refused');
    const health = await lab.get('turbopilot/health');
    assert.equal(health.ready, true);
    assert.equal(health.model, 'smollm2-360m');
  });

  test('uses a local file by its path', async () => {
    await page.getByLabel('Another model').fill(path.join(folder, 'tiny.gguf'));
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => /tiny\.gguf is ready/.test(document.body.innerText), null, {
      timeout: 30000
    });
  });

  test('removes a model after a confirmation', async () => {
    const stored = path.join(
      folder,
      'HuggingFaceTB--SmolLM2-360M-Instruct-GGUF--smollm2-360m-instruct-q8_0.gguf'
    );
    assert.ok(existsSync(stored));
    await row('smollm2-360m').getByRole('button', { name: 'Remove' }).click();
    await page.locator('.jp-Dialog').getByRole('button', { name: 'Cancel' }).click();
    assert.ok(existsSync(stored));
    await row('smollm2-360m').getByRole('button', { name: 'Remove' }).click();
    await page.locator('.jp-Dialog').getByRole('button', { name: 'Remove' }).click();
    await row('smollm2-360m').getByRole('button', { name: 'Download' }).waitFor();
    assert.ok(!existsSync(stored));
    await focusIn('smollm2-360m');
  });
});

describe('a server without a model', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let lab;
  let source;
  let folder;
  let broken = true;

  before(async () => {
    const model = defaultModel();
    // A fake Hugging Face server with the real file.
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
    linkCopies(model, folder);
    ({ lab, browser, close } = await openLab({
      loaded: false,
      memory: true,
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

  test('offers the download, shows progress, recovers from a failure and completes without a restart', async () => {
    writeNotebook(lab, 'first.ipynb', [RECTANGLE]);
    const page = await openFile(browser.context, lab, 'first.ipynb');
    const notifications = page.locator('.Toastify__toast');
    const indexNotice = notifications.filter({ hasText: 'also uses your notebooks' });
    const offer = notifications.filter({ hasText: '491 MB' });
    await offer.waitFor({ timeout: 30000 });
    await page.waitForTimeout(2000); // another notification would have appeared
    assert.equal(await notifications.count(), 1);
    assert.equal(await page.locator('.jp-Dialog').count(), 0);
    await screenshot(page, 'offer');
    assert.match(await page.locator('.jp-Turbopilot-status').innerText(), /no model/);
    await offer.getByRole('button', { name: 'Download' }).click();
    // The publisher does not respond: the mirror is offered, not used.
    const failed = page.locator('.Toastify__toast', { hasText: 'could not be downloaded' });
    await failed.waitFor({ timeout: 30000 });
    await screenshot(page, 'failed');
    assert.ok(await failed.getByRole('button', { name: 'Use Mirror' }).count());
    broken = false;
    await failed.getByRole('button', { name: 'Try Again' }).click();
    await page.waitForFunction(
      () => /\d+ MB of 491 MB|Verifying the checksum/.test(document.body.innerText),
      null,
      {
        timeout: 30000
      }
    );
    await page.waitForFunction(() => {
      const bar = window.getComputedStyle(document.querySelector('.Toastify__toast'), '::after');
      return parseFloat(bar.height) > 0 && parseFloat(bar.width) > 0;
    });
    await screenshot(page, 'progress');
    // The others move out.
    await page.waitForFunction(() => document.querySelectorAll('.Toastify__toast').length === 1);
    await showsStatus(page, 'ready', 60000);
    const cell = await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    assert.equal(await indexNotice.count(), 0);
    assert.equal(await page.locator('.jp-Dialog').count(), 0);
    await page.keyboard.press('Tab');
    await holds(cell, `${RECTANGLE}.height`);
    await indexNotice.waitFor({ timeout: 10000 });
    await screenshot(page, 'index-notice');
    await page.close();
  });
});
