/** The Models panel in a JupyterLite site: download, stop, use, remove; with the keyboard, light and dark. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { editCell, execute, screenshot } from './lab.mjs';
import { openLite, REST, STATIC, twoModelsIn, typeBegun } from './site.mjs';

describe('the Models panel in a JupyterLite site', { timeout: 120_000 }, () => {
  let files;
  let lite;
  let page;
  let site;

  const row = name => page.locator(`.jp-Turbopilot-models tr[data-model="${name}"]`);
  const message = words =>
    page.locator('.jp-Turbopilot-message', { hasText: words }).waitFor({ timeout: 20_000 });
  const press = async (name, label) => {
    await row(name).getByRole('button', { name: label }).focus();
    await page.keyboard.press('Enter');
  };
  const remove = async name => {
    await press(name, /Remove/);
    await page.locator('.jp-Dialog').getByRole('button', { name: 'Remove' }).click();
    await message('(0.1 MB freed).');
    await row(name)
      .getByRole('button', { name: /Download/ })
      .waitFor();
  };
  const fetched = name => site.asked.filter(asked => asked === STATIC + name).length;

  before(async () => {
    lite = await openLite();
    files = twoModelsIn(STATIC);
    site = await lite.serve({ files });
    page = await lite.open(site);
    await editCell(page, 0);
    assert.equal(await typeBegun(page), REST);
    await page.locator('.jp-Turbopilot-status').focus();
    await page.keyboard.press('Enter');
    const choose = page.locator('.lm-Menu-item', { hasText: 'Models…' });
    while (!/lm-mod-active/.test(await choose.getAttribute('class'))) {
      await page.keyboard.press('ArrowDown');
    }
    await page.keyboard.press('Enter');
    await row('shapes').waitFor();
  });

  after(() => lite?.close());

  test('lists the models of the site and the one in use', async () => {
    assert.match(await row('shapes').innerText(), /In use/); // it is tuned to the notebook's language
    assert.match(await row('rectangles').innerText(), /any language[\s\S]*Apache-2\.0[\s\S]*Download/);
    assert.equal(await page.locator('.jp-Turbopilot-models form').isVisible(), false);
    const titles = await page.locator('.jp-Turbopilot-models thead th').allInnerTexts();
    assert.deepEqual(titles, ['Model', 'Size', 'Licence', 'State']);
    assert.match(
      await page.locator('.jp-Turbopilot-models').innerText(),
      /Your code does not leave this page\./
    );
  });

  test('has the focus after it is opened with the keyboard', async () => {
    await page.locator('.jp-Turbopilot-models button:focus').waitFor();
    await screenshot(page, 'lite-models');
    await execute(page, 'apputils:change-theme', { theme: 'JupyterLab Dark' });
    await page.waitForSelector('body[data-jp-theme-name="JupyterLab Dark"]', { state: 'attached' });
    await screenshot(page, 'lite-models-dark');
  });

  test('downloads a model with progress and stops it', async () => {
    const whole = files[`${STATIC}rectangles.gguf`];
    files[`${STATIC}rectangles.gguf`] = { ...whole, stuck: true };
    await press('rectangles', /Download/);
    await row('rectangles').locator('progress[value]').waitFor(); // it has none before the first bytes
    const bar = await row('rectangles')
      .locator('progress')
      .evaluate(({ value, max }) => value / max);
    assert.ok(bar > 0.1 && bar < 1, String(bar));
    await screenshot(page, 'lite-models-progress');
    // The model in use continues meanwhile.
    await page.locator('.lm-TabBar-tab', { hasText: 'shapes.ipynb' }).first().click();
    await editCell(page, 0);
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
    assert.equal(await typeBegun(page), REST);
    await page.locator('.lm-TabBar-tab', { hasText: 'Models' }).first().click();
    await press('rectangles', /Stop/);
    await message('Stopped');
    await row('rectangles')
      .getByRole('button', { name: /Download/ })
      .waitFor();
    await screenshot(page, 'lite-models-stopped');
    files[`${STATIC}rectangles.gguf`] = whole;
    await press('rectangles', /Download/);
    await message('Downloaded rectangles.');
    assert.equal(fetched('rectangles.gguf'), 2);
  });

  test('uses another model, deletes its file and downloads it again', async () => {
    await press('rectangles', /Use/);
    await message('rectangles is ready.');
    await row('rectangles').getByText('In use').waitFor();
    await remove('shapes');
    const kept = files[`${STATIC}shapes.gguf`];
    files[`${STATIC}shapes.gguf`] = { ...kept, cut: true };
    await press('shapes', /Download/);
    await message('Connection lost');
    await row('shapes')
      .getByText(/The download failed\. Connection lost/)
      .waitFor();
    // The model in use does not change.
    await page.locator('.jp-Turbopilot-status[data-condition="ready"]').waitFor({ timeout: 20_000 });
    await screenshot(page, 'lite-models-failed');
    files[`${STATIC}shapes.gguf`] = kept;
    await press('shapes', /Download/);
    await message('Downloaded shapes.');
    assert.equal(fetched('shapes.gguf'), 3);
    await row('rectangles').getByText('In use').waitFor();
  });

  test('ghost text is available throughout', async () => {
    await page.locator('.lm-TabBar-tab', { hasText: 'shapes.ipynb' }).first().click();
    await editCell(page, 0);
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
    assert.equal(await typeBegun(page), REST);
    assert.match(await page.locator('.jp-Turbopilot-status').getAttribute('title'), /rectangles/);
    await screenshot(page, 'lite-lab-dark');
  });
});
