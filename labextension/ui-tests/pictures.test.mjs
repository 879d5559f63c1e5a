/** The tutorial, step by step, in JupyterLab with the default model. UPDATE_PICTURES=1 takes the documentation's pictures. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
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
  ROOT,
  runFirstCell,
  setCells,
  shortTracebacks,
  SILENT,
  textOf,
  writeNotebook
} from './lab.mjs';
import { openLite } from './site.mjs';

const FILES = ['demo.ipynb', 'orders.csv', 'report-2024.ipynb', 'report-2025.ipynb'];
const CELLS = JSON.parse(readFileSync(path.join(ROOT, 'binder', FILES[0]), 'utf8')).cells;
const SALES = [
  'import pandas as pd\n\nsales = pd.DataFrame({"region": ["north", "south"], "revenue_eur": [120.0, 80.5]})',
  'sales["revenu_eur"].sum()'
];
const AIR = ['import pandas as pd\n\nair = pd.read_csv("air.csv")', 'air.plot(x="meas_ts", y="p'];
const at = id => CELLS.findIndex(cell => cell.id === id);

/** The text in backticks in the Markdown of a step. */
const codeIn = step => [...CELLS[at(step)].source.join('').matchAll(/`([^`]+)`/g)].map(found => found[1]);

const TAKES = Boolean(process.env.UPDATE_PICTURES);
/** The pictures show this text. Without pictures, part of it is enough: the model may continue differently elsewhere. */
const like = (pictured, walked) => (TAKES ? pictured : walked);

/** Run a failing cell until it has a fix: a kernel that is busy does not answer in time. */
async function offered(page, index) {
  const offer = page.locator('.jp-Turbopilot-offer');
  for (let tries = 0; ; tries++) {
    await editCell(page, index);
    await page.keyboard.press('Control+Enter');
    try {
      await offer.waitFor({ timeout: 5000 });
      return offer;
    } catch (error) {
      if (tries === 5) {
        throw error;
      }
    }
  }
}

describe('the tutorial', { timeout: 600_000 }, () => {
  let browser;
  let close;
  let lab;
  let page;

  const cellOf = id => page.locator('.jp-Notebook .jp-Cell').nth(at(id));
  const status = () => page.locator('.jp-Turbopilot-status');
  const note = () =>
    page
      .locator('.cm-line:has(.jp-GhostText)')
      .evaluate(node => window.getComputedStyle(node, '::after').content);

  /** Type lines into a cell until the ghost text matches: kernel context arrives in the background. */
  async function suggested(id, lines, expected) {
    for (let tries = 0; ; tries++) {
      const cell = await editCell(page, at(id));
      await page.keyboard.press('Control+a');
      await page.keyboard.press('Delete');
      for (const [number, line] of lines.entries()) {
        if (number) {
          await page.keyboard.press('Enter');
        }
        await page.keyboard.type(line, { delay: 60 });
      }
      const text = await ghost(page, { timeout: 10_000 }).catch(() => '');
      if (expected.test(text)) {
        return cell;
      }
      assert.ok(tries < 5, `${expected} was not suggested, but ${JSON.stringify(text)}`);
    }
  }

  before(async () => {
    const bin = path.dirname(process.env.JUPYTER ?? '');
    ({ lab, browser, close } = await openLab({
      memory: true,
      eagerness: 'balanced',
      files: FILES,
      environment: { TURBOPILOT_MODELS: path.dirname(defaultModel()) },
      flags: [
        `--ServerApp.terminado_settings={'shell_command': ['${path.join(bin, 'ipython')}', '--no-banner']}`
      ],
      settings: {
        ...SILENT,
        '@jupyterlab/notebook-extension:tracker': {},
        '@jupyterlab/terminal-extension:plugin': { screenReaderMode: true, theme: 'light' }
      }
    }));
    shortTracebacks(lab);
    page = await openFile(browser.context, lab, FILES[0], {
      // With more than one pixel for each CSS pixel, headless Chromium reports a wrong size to the terminal.
      before: () => delete window.ResizeObserverEntry.prototype.devicePixelContentBoxSize
    });
    await page.setViewportSize({ width: 900, height: 740 });
    await execute(page, 'application:toggle-left-area');
    for (let tries = 0, index = null; index?.files !== 3 || index.building; tries++) {
      assert.ok(tries < 240, JSON.stringify(index));
      await page.waitForTimeout(250);
      index = (await lab.get('turbopilot/health')).notebook_index;
    }
  });

  after(() => close?.());

  test('has the same text to type in its page and in its notebook', () => {
    const tutorial = readFileSync(path.join(ROOT, 'docs', 'tutorial.md'), 'utf8');
    for (let step = 2; step <= 6; step++) {
      for (const text of codeIn(`step-${step}`)) {
        assert.ok(tutorial.includes(`\`${text}\``), text);
      }
    }
    for (const text of [
      CELLS[at('load')].source.join(''),
      readFileSync(path.join(lab.work, FILES[1]), 'utf8')
    ]) {
      assert.ok(tutorial.includes(text.trim()), text);
    }
  });

  test('loads a table', async () => {
    await runFirstCell(page, at('load'));
    await cellOf('load').locator('.jp-OutputArea', { hasText: 'unit_price' }).waitFor({ timeout: 60_000 });
    await status().filter({ hasText: 'ready' }).waitFor();
    await picture(page, 'tutorial-1-load');
  });

  test('corrects a misspelled column after an error', async () => {
    const [typed, fixed] = codeIn('step-2');
    const cell = await editCell(page, at('fix'));
    await page.keyboard.type(typed);
    const offer = await offered(page, at('fix'));
    assert.match(await offer.innerText(), /Did you mean 'region'\?/);
    await picture(
      page,
      'tutorial-2-fix',
      [cellOf('step-2'), cell.locator('.jp-Cell-inputWrapper'), offer],
      3
    );
    await page.keyboard.press('Alt+.');
    await holds(cell, fixed);
    await page.keyboard.press('Control+Enter');
    await cell.locator('.jp-OutputArea', { hasText: 'Name: count' }).waitFor({ timeout: 60_000 });
  });

  test('completes columns that only the kernel knows', async () => {
    const cell = await suggested(
      'columns',
      codeIn('step-3'),
      like(/^_price"\] \* orders\["quantity/, /^_price/)
    );
    await picture(page, '../ghost-text');
    await picture(page, 'tutorial-3-columns', [cellOf('step-3'), cell]);
    await page.keyboard.press('Tab');
    await gone(page);
    assert.match(await textOf(cell), /^orders\["revenue"\] = orders\["unit_price"\]/);
    // The next steps do not depend on the rest of this suggestion.
    await page.keyboard.press('Control+a');
    const code = 'orders["revenue"] = orders["unit_price"] * orders["quantity"]';
    await page.keyboard.insertText(code);
    await holds(cell, code);
    await page.keyboard.press('Shift+Enter');
    await cell.locator('.jp-InputArea-prompt', { hasText: /\[\d+\]/ }).waitFor({ timeout: 60_000 });
  });

  test('accepts a word', async () => {
    const [typed] = codeIn('step-4');
    const cell = await suggested('word', [typed], /^_price"\]/);
    await page.keyboard.press('Control+ArrowRight');
    await holds(cell, `${typed}_price`);
    assert.match(await ghost(page), /^"/);
    await page.keyboard.press('Tab');
    await gone(page);
    assert.ok((await textOf(cell)).startsWith(`${typed}_price"`));
  });

  test('adds an import with a suggestion; one undo removes both', async () => {
    const [typed] = codeIn('step-5');
    const cell = await suggested('import', [typed], like(/^_price"\]\)$/, /^_price/));
    assert.equal(await note(), '"adds import numpy as np"');
    await picture(page, 'tutorial-5-import', [cellOf('step-5'), cell]);
    await page.keyboard.press('Tab');
    await gone(page);
    assert.ok((await textOf(cell)).startsWith(`import numpy as np\n${typed}_price`));
    await page.keyboard.press('Control+z');
    await holds(cell, typed);
  });

  test('suggests a line of the other notebooks', async () => {
    const lines = codeIn('step-6').slice(2);
    const cell = await suggested(
      'index',
      lines,
      /^orders\.resample\("MS", on="order_date"\)\["revenue"\]\.sum\(\)/
    );
    await picture(page, 'tutorial-6-index', [cellOf('step-6'), cell]);
    await page.keyboard.press('Escape');
    await gone(page);
  });

  test('has its commands in the menu of the status item, its settings and its models', async () => {
    await status().click();
    const menu = page.locator('.lm-Menu');
    await menu.getByText('Turn Off').waitFor();
    await menu.getByText('Turbopilot Settings').click();
    const editor = page.locator('.jp-SettingsPanel');
    for (const title of ['Enabled', 'When to suggest', 'Suggestion length', 'Eagerness']) {
      await editor.getByText(title, { exact: true }).first().waitFor({ timeout: 30_000 });
    }
    await picture(page, 'tutorial-7-settings');
    await status().click();
    await menu.getByText('Models…').click();
    await page.setViewportSize({ width: 1100, height: 500 });
    const model = page.locator('.jp-Turbopilot-models tr[data-model="qwen2.5-coder-0.5b"]');
    await model.getByText('In use').waitFor({ timeout: 30_000 });
    await picture(page, 'models-panel', [page.locator('.jp-Turbopilot-models')], 0);
    await page.setViewportSize({ width: 900, height: 740 });
  });

  test('completes unfamiliar columns only with the kernel', { skip: !TAKES }, async () => {
    writeFileSync(
      path.join(lab.work, 'air.csv'),
      'meas_ts,stn_code,pm10_ugm3,no2_ugm3\n2026-01-08,N1,18.2,31.5\n'
    );
    writeNotebook(lab, 'air.ipynb', [AIR[0], '']);
    const notebook = await openFile(browser.context, lab, 'air.ipynb');
    await notebook.setViewportSize({ width: 560, height: 420 });
    await execute(notebook, 'application:toggle-left-area');
    const cells = notebook.locator('.jp-Notebook .jp-Cell');
    const halves = [];
    for (const runs of [false, true]) {
      if (runs) {
        await runFirstCell(notebook);
      }
      for (let tries = 0, text = null; text === null || (runs && !text.startsWith('m10_ugm3')); tries++) {
        assert.ok(tries < 10, text);
        await editCell(notebook, 1);
        await notebook.keyboard.press('Control+a');
        await notebook.keyboard.press('Delete');
        await notebook.keyboard.type(AIR[1], { delay: 200 });
        text = await ghost(notebook, { timeout: 5000 }).catch(() => '');
      }
      await notebook.mouse.move(0, 0);
      const boxes = await Promise.all([0, 1].map(index => cells.nth(index).boundingBox()));
      const bottom = boxes[1].y + boxes[1].height;
      const clip = { ...boxes[0], height: bottom - boxes[0].y };
      const image = await notebook.screenshot({ clip, animations: 'disabled', caret: 'initial' });
      const title = runs ? 'With the kernel: the first cell has run' : 'Without the kernel';
      halves.push(
        `<figure><figcaption>${title}</figcaption><img width="${clip.width}" src="data:image/png;base64,${image.toString('base64')}"></figure>`
      );
    }
    await notebook.setViewportSize({ width: 1200, height: 420 });
    const item = notebook.locator('.jp-Turbopilot-status');
    await item.click();
    const menu = notebook.locator('.lm-Menu').first();
    await menu.getByText('Turn Off').waitFor();
    await notebook.keyboard.press('ArrowDown');
    await notebook.keyboard.press('ArrowRight');
    const submenu = notebook.locator('.lm-Menu').nth(1);
    await submenu.getByText('Everywhere Until Reload').waitFor();
    await picture(notebook, 'status-menu', [menu, submenu, item], 24);
    await notebook.setContent(
      `<style>main { display: flex; gap: 16px; width: fit-content; background: white; font: 16px sans-serif }
      figure { margin: 0 } figcaption { margin: 8px }</style><main>${halves.join('')}</main>`
    );
    await picture(notebook, 'columns', [notebook.locator('main')], 0);
    await notebook.close();
  });

  test('has grey text in IPython', { skip: !TAKES }, async () => {
    const made = await fetch(`${lab.url}/api/terminals`, {
      method: 'POST',
      headers: { Authorization: `token ${lab.token}` },
      body: JSON.stringify({ cwd: lab.work })
    });
    await execute(page, 'terminal:open', { name: (await made.json()).name });
    const terminal = page.locator('.jp-Terminal');
    const rows = terminal.locator('.xterm-accessibility-tree > div');
    const shows = (text, timeout = 60_000) =>
      rows.filter({ hasText: text }).last().waitFor({ state: 'attached', timeout });
    const enter = async (line, next) => {
      await page.keyboard.type(line, { delay: 10 });
      await page.keyboard.press('Enter');
      await shows(`In [${next}]`);
    };
    await shows('In [1]');
    await terminal.locator('.xterm-helper-textarea').focus();
    await enter('%load_ext jupyter_turbopilot', 2);
    await enter('%turbopilot on', 3);
    await page.keyboard.press('Control+l');
    await enter('import pandas as pd', 4);
    await enter('orders = pd.read_csv("orders.csv")', 5);
    await page.keyboard.type('revenue = orders["quantity"] * orders["un', { delay: 60 });
    // Keystrokes before the model is loaded get no suggestion.
    for (let tries = 0; ; tries++) {
      try {
        await shows('orders["quantity"] * orders["unit_price', 10_000);
        break;
      } catch (error) {
        if (tries === 5) {
          throw error;
        }
        await page.keyboard.press('Backspace');
        await page.keyboard.type('n');
      }
    }
    await picture(page, 'ipython', [rows.nth(0), rows.nth(5)], 4);
    await page.keyboard.press('Control+c');
    await page.close();
  });
});

describe('the documentation of fixes and renames', { timeout: 120_000, skip: !TAKES }, () => {
  let browser;
  let close;
  let lab;
  let page;

  const cellAt = index => page.locator('.jp-Notebook .jp-Cell').nth(index);
  const offer = () => page.locator('.jp-Turbopilot-offer');

  before(async () => {
    ({ lab, browser, close } = await openLab({ loaded: false, settings: ON_DEMAND }));
    shortTracebacks(lab);
    writeNotebook(lab, 'sales.ipynb', ['']);
    page = await openFile(browser.context, lab, 'sales.ipynb');
    await page.setViewportSize({ width: 860, height: 420 });
    await execute(page, 'application:toggle-left-area');
  });

  after(() => close?.());

  test('has a picture of a fix', async () => {
    await setCells(page, SALES);
    await runFirstCell(page);
    await offered(page, 1);
    await picture(page, '../fix', [cellAt(0), cellAt(1)], 4);
  });

  test('has a picture of a rename', async () => {
    await setCells(page, [
      'revenue = sales["revenue"]',
      'share = revenue / revenue.sum()',
      'print(f"{revenue.max():.2f} of {revenue.sum():.2f}")'
    ]);
    await editCell(page, 0);
    await page.keyboard.press('Home');
    await page.keyboard.press('Control+ArrowRight');
    await page.keyboard.type('_eur', { delay: 40 });
    await offer().waitFor({ timeout: 10_000 });
    await offer().locator('summary').click();
    await picture(page, 'rename', [cellAt(0), cellAt(2)], 4);
  });

  test('has a picture of a repeated edit', async () => {
    await setCells(
      page,
      ['jan', 'feb', 'mar', 'apr'].map(month => `${month} = pd.read_csv("${month}.csv")`)
    );
    for (const index of [0, 1]) {
      await editCell(page, index);
      await page.keyboard.type('.dropna()', { delay: 20 });
    }
    await offer().waitFor({ timeout: 10_000 });
    await picture(page, '../repeat', [cellAt(0), cellAt(1), cellAt(2)], 4);
  });
});

describe('the documentation of JupyterLite', { timeout: 120_000 }, () => {
  let lite;

  before(async () => (lite = await openLite()));

  after(() => lite?.close());

  test('has a picture of grey text from the model in the browser', async () => {
    const site = await lite.serve({ files: {} });
    const page = await lite.open(site, 'lab/index.html?path=shapes.py');
    await page.setViewportSize({ width: 900, height: 360 });
    await page.locator('.jp-FileEditor .cm-content').click({ timeout: 60_000 });
    await page.keyboard.press('Control+a');
    await page.keyboard.insertText('class Circle:\n    def __init__(self, radius):\n        self.ra');
    await page.keyboard.type('d');
    assert.equal(await ghost(page), 'ius = radius');
    await picture(page, 'browser-only');
  });
});
