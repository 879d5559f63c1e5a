/** A suggestion that ends with an opening bracket: accepting it types the bracket as a key would. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { editCell, ghost, holds, openFile, openLab, screenshot, setCells, writeNotebook } from './lab.mjs';

for (const autoClosingBrackets of [true, false]) {
  describe(
    `an opening bracket, ${autoClosingBrackets ? '' : 'not '}closed by the editor`,
    { timeout: 180_000 },
    () => {
      let close;
      let page;
      let requests = [];

      before(async () => {
        const opened = await openLab({
          says: 'unused',
          settings: { '@jupyterlab/notebook-extension:tracker': { codeCellConfig: { autoClosingBrackets } } }
        });
        ({ close } = opened);
        writeNotebook(opened.lab, 'opening.ipynb', ['']);
        page = await openFile(opened.browser.context, opened.lab, 'opening.ipynb');
        await page.route('**/turbopilot/complete*', async route => {
          const body = route.request().postDataJSON();
          requests.push(body);
          const typed = body.cells[body.active].source.slice(0, body.offset);
          const [text, opens] = typed.endsWith('pd.')
            ? ['read_csv', '("']
            : typed.endsWith('("')
              ? ['a.csv', '']
              : ['', ''];
          const answer = { id: `${requests.length}`, text, opens, confidence: 1, timings: { total_ms: 1 } };
          await (body.stream
            ? route.fulfill({
                contentType: 'application/x-ndjson',
                body: `${JSON.stringify({ ...answer, done: true, finish_reason: 'stop' })}\n`
              })
            : route.fulfill({ json: { id: '', items: [], model: '', timings: { total_ms: 1 } } }));
        });
      });

      after(() => close?.());

      test('is typed, and the next suggestion begins in it', async () => {
        const closed = autoClosingBrackets ? '")' : '';
        requests = [];
        await setCells(page, ['']);
        const cell = await editCell(page, 0);
        await page.keyboard.type('df = pd.', { delay: 60 });
        assert.equal(await ghost(page), 'read_csv("');
        await screenshot(page, `opening-${autoClosingBrackets}`);
        await page.keyboard.press('Tab');
        await holds(cell, `df = pd.read_csv("${closed}`);
        assert.equal(await ghost(page), 'a.csv');
        const ahead = requests.find(({ trigger }) => trigger === 'prefetch');
        assert.equal(ahead.cells[0].source, `df = pd.read_csv("${closed}`);
        await page.keyboard.press('Escape');
        await page.keyboard.type('b")', { delay: 60 });
        await holds(cell, 'df = pd.read_csv("b")');
      });

      test('is removed with the text by one undo', async () => {
        await setCells(page, ['']);
        const cell = await editCell(page, 0);
        await page.keyboard.type('df = pd.', { delay: 60 });
        await ghost(page);
        await page.waitForTimeout(700);
        await page.keyboard.press('Tab');
        await holds(cell, `df = pd.read_csv("${autoClosingBrackets ? '")' : ''}`);
        await page.keyboard.press('Control+z');
        await holds(cell, 'df = pd.');
      });
    }
  );
}
