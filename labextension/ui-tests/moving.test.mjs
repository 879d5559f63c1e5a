/** The moving pictures of the documentation, recorded in real time. UPDATE_PICTURES=1 takes them. */

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  defaultModel,
  editCell,
  execute,
  ghost,
  gone,
  holds,
  ON_DEMAND,
  openFile,
  openLab,
  picture,
  recordTexts,
  RESULTS,
  ROOT,
  runFirstCell,
  shortTracebacks,
  SILENT,
  textOf,
  writeNotebook
} from './lab.mjs';
import { OFFER } from './offers.mjs';

const FOLDER = path.join(RESULTS, 'moving');
const APPEARANCE = {
  '@jupyterlab/notebook-extension:tracker': { codeCellConfig: { cursorBlinkRate: 0 } },
  '@jupyterlab/apputils-extension:themes': { overrides: { 'code-font-size': '16px' } }
};
const KEYSTROKE = 60; // milliseconds from one to the next
const LOOK = 700; // milliseconds that a suggestion, and the accepted text, stay
const LOADED = 'import pandas as pd\n\norders = pd.read_csv("orders.csv")\norders.head(3)';

describe('the moving picture', { timeout: 300_000, skip: !process.env.UPDATE_PICTURES }, () => {
  let browser;
  let close;
  let lab;

  before(async () => {
    ({ lab, browser, close } = await openLab({
      memory: true,
      eagerness: 'balanced',
      files: ['orders.csv'],
      environment: { TURBOPILOT_MODELS: path.dirname(defaultModel()) },
      settings: { ...SILENT, ...APPEARANCE }
    }));
  });

  after(() => close?.());

  test('shows a value, a file, and columns', async () => {
    writeFileSync(path.join(lab.work, 'returns.csv'), 'order_id,reason\n1,broken\n');
    writeNotebook(lab, 'exploring.ipynb', [LOADED, '', '', '']);
    const page = await openFile(browser.context, lab, 'exploring.ipynb');
    await page.setViewportSize({ width: 860, height: 430 });
    await execute(page, 'application:toggle-left-area');
    await runFirstCell(page, 0);
    await page.locator('.jp-OutputArea', { hasText: 'unit_price' }).waitFor({ timeout: 60_000 });

    /** Type at a constant speed; return what is suggested then. */
    async function type(cell, text) {
      await editCell(page, cell);
      await page.keyboard.press('Control+a');
      await page.keyboard.press('Delete');
      await page.mouse.move(0, 0); // over a suggestion, it would open JupyterLab's toolbar
      const begun = Date.now();
      for (const [number, key] of [...text].entries()) {
        await page.waitForTimeout(Math.max(0, begun + number * KEYSTROKE - Date.now()));
        await page.keyboard.type(key);
      }
      return ghost(page, { timeout: 5000 }).catch(() => '');
    }

    /** Leave what is suggested there long enough to be looked at, accept it, type what is missing, and leave that. */
    async function accept(cell, expected) {
      const text = () => textOf(page.locator('.jp-Notebook .jp-Cell').nth(cell));
      await page.waitForTimeout(LOOK);
      await page.keyboard.press('Tab');
      await gone(page);
      await page.keyboard.type(expected.slice((await text()).length));
      assert.equal(await text(), expected);
      await page.waitForTimeout(LOOK);
    }

    recordTexts('ghost-text-moving', await page.locator('body').innerText());
    // The first frame has grey text: a preview shows only this one. Kernel context arrives in the background.
    for (let tries = 0, text = ''; !text.startsWith('orth"'); tries++) {
      assert.ok(tries < 20, text);
      text = await type(1, 'north = orders[orders["region"] == "N');
    }
    const record = await recorder(page, 1);
    await accept(1, 'north = orders[orders["region"] == "North"]');
    assert.match(await type(2, 'returns = pd.read_csv("r'), /^eturns\.csv"/);
    await accept(2, 'returns = pd.read_csv("returns.csv")');
    assert.match(await type(3, 'orders["revenue"] = orders["quantity"] * orders["unit'), /^_price"\]/);
    await accept(3, 'orders["revenue"] = orders["quantity"] * orders["unit_price"]');
    combine(await record(), 'ghost-text-moving.png');
    await page.close();
  });
});

describe('the moving pictures of offers', { timeout: 120_000, skip: !process.env.UPDATE_PICTURES }, () => {
  let browser;
  let close;
  let lab;

  before(async () => {
    ({ lab, browser, close } = await openLab({ settings: { ...APPEARANCE, ...ON_DEMAND } }));
    shortTracebacks(lab);
  });

  after(() => close?.());

  async function open(name, cells, height) {
    writeNotebook(lab, name, cells);
    const page = await openFile(browser.context, lab, name);
    await page.setViewportSize({ width: 860, height });
    await execute(page, 'application:toggle-left-area');
    return page;
  }

  /** Start to record, with the cursor at the end of a cell. */
  async function recordIn(page, index) {
    const cell = await editCell(page, index);
    await page.mouse.move(0, 0);
    await page.waitForTimeout(500);
    return [cell, await recorder(page, 1)];
  }

  test('shows a misspelled column that is corrected with one keystroke', async () => {
    const setup =
      'import pandas as pd\n\nsales = pd.DataFrame({\n    "region": ["north", "south"],\n    "revenue_eur": [120.0, 80.5],\n})';
    const page = await open('sales.ipynb', [setup, ''], 410);
    await runFirstCell(page);
    const [cell, record] = await recordIn(page, 1);
    await page.keyboard.type('sales["revenu_eur"].sum()', { delay: KEYSTROKE / 2 });
    await page.waitForTimeout(500);
    await page.keyboard.press('Control+Enter');
    await cell.locator(OFFER).waitFor({ timeout: 20_000 });
    recordTexts('fix-moving', await page.locator('body').innerText());
    await page.waitForTimeout(2500);
    await page.keyboard.press('Alt+.');
    await holds(cell, 'sales["revenue_eur"].sum()');
    await page.waitForTimeout(1500);
    await page.keyboard.press('Control+Enter');
    await cell.locator('.jp-OutputArea', { hasText: '200.5' }).waitFor();
    await page.waitForTimeout(2000);
    combine(await record(), 'fix-moving.png');
    await page.close();
  });

  test('shows a misspelled column that is corrected before the cell is run', async () => {
    const setup =
      'import pandas as pd\n\norders = pd.DataFrame({\n    "quantity": [3, 1],\n    "unit_price": [120.0, 80.5],\n})';
    const page = await open('orders.ipynb', [setup, ''], 410);
    await runFirstCell(page);
    const [cell, record] = await recordIn(page, 1);
    await page.keyboard.type('orders["unit_prise"].mean()', { delay: KEYSTROKE / 2 });
    await page.keyboard.press('Enter');
    const mark = cell.locator('.jp-Turbopilot-finding');
    await mark.waitFor({ timeout: 20_000 });
    await cell.locator(OFFER).waitFor();
    recordTexts('check-moving', await page.locator('body').innerText());
    await page.waitForTimeout(2500);
    await page.keyboard.press('Alt+.');
    await mark.waitFor({ state: 'detached' });
    await page.waitForTimeout(1500);
    combine(await record(), 'check-moving.png');
    await page.keyboard.press('Control+z');
    await mark.waitFor({ timeout: 20_000 });
    await page.waitForTimeout(1000);
    await picture(page, '../check', [page.locator('.jp-Notebook .jp-Cell').first(), cell], 4);
    await page.close();
  });

  test('shows an edit that is made twice and repeated with two keystrokes', async () => {
    const months = ['jan', 'feb', 'mar', 'apr'];
    const cells = months.map(month => `${month} = pd.read_csv("${month}.csv")`);
    const page = await open('months.ipynb', ['import pandas as pd', ...cells], 450);
    await runFirstCell(page);
    const [first, record] = await recordIn(page, 1);
    const type = () => page.keyboard.type('.dropna()', { delay: KEYSTROKE / 2 });
    await type();
    await holds(first, `${cells[0]}.dropna()`);
    await page.waitForTimeout(500);
    await editCell(page, 2);
    await page.mouse.move(0, 0);
    await type();
    await page.locator(OFFER).waitFor({ timeout: 20_000 });
    recordTexts('repeat-moving', await page.locator('body').innerText());
    await page.waitForTimeout(2500);
    for (const index of [2, 3]) {
      await page.keyboard.press('Alt+.');
      await holds(page.locator('.jp-Notebook .jp-Cell').nth(index + 1), `${cells[index]}.dropna()`);
      await page.waitForTimeout(1500);
    }
    combine(await record(), 'repeat-moving.png');
    await page.close();
  });
});

/** Show the name of the key that accepts, for a second, and hide the toolbar of the cell, which covers long lines. */
async function captionKeys(page) {
  await page.evaluate(() => {
    document.head.append(
      Object.assign(document.createElement('style'), { textContent: '.jp-cell-toolbar { display: none }' })
    );
    const caption = document.createElement('div');
    caption.style.cssText =
      'position: fixed; right: 24px; bottom: 40px; z-index: 10000; padding: 6px 16px; border-radius: 6px; ' +
      'background: #333; color: white; font: bold 22px sans-serif; visibility: hidden';
    document.body.append(caption);
    let timer;
    document.addEventListener(
      'keydown',
      event => {
        if (event.key !== 'Tab' && !(event.altKey && event.key === '.')) {
          return;
        }
        caption.textContent = event.altKey ? 'Alt .' : 'Tab';
        caption.style.visibility = 'visible';
        clearTimeout(timer);
        timer = setTimeout(() => (caption.style.visibility = 'hidden'), 1000);
      },
      true
    );
  });
}

/** Combine frames into a moving picture of the documentation. */
function combine(frames, name) {
  const python = path.join(path.dirname(process.env.JUPYTER), 'python');
  const out = path.join(ROOT, 'docs', name);
  const done = spawnSync(python, [path.join(ROOT, 'scripts', 'moving_picture.py'), frames, out], {
    encoding: 'utf8'
  });
  assert.equal(done.status, 0, done.stderr);
}

/** Record a page as its frames are painted; the function that is returned ends it, and returns the list of frames. */
async function recorder(page, everyNthFrame = 4) {
  await captionKeys(page);
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const frames = [];
  const session = await page.context().newCDPSession(page);
  session.on('Page.screencastFrame', ({ data, metadata, sessionId }) => {
    frames.push({ data, at: metadata.timestamp * 1000 });
    void session.send('Page.screencastFrameAck', { sessionId });
  });
  await session.send('Page.startScreencast', { format: 'png', everyNthFrame });
  return async () => {
    const end = Date.now();
    await session.send('Page.stopScreencast');
    frames.sort((one, other) => one.at - other.at);
    const durations = frames.map(({ data, at }, number) => {
      const name = `${String(number).padStart(3, '0')}.png`;
      writeFileSync(path.join(FOLDER, name), Buffer.from(data, 'base64'));
      return [name, Math.max(1, Math.round((frames[number + 1]?.at ?? end) - at))];
    });
    const listed = path.join(FOLDER, 'frames.json');
    writeFileSync(listed, JSON.stringify(durations));
    return listed;
  };
}
