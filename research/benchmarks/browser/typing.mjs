/**
 * Counts the long tasks of the page's main thread while a user types in a JupyterLite site.
 *
 *     JUPYTERLITE=.make/lite/bin/jupyter node research/benchmarks/browser/typing.mjs [--model model.gguf] [--keys 500]
 *         [--rounds 2] [--before 1900] [--pause 80] [--eagerness always]
 *
 * Types real code after other code, alternating between suggestions on and off, and counts the tasks of more than
 * 50 ms. The default model is that of the tests.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const load = name => import(pathToFileURL(path.join(ROOT, 'labextension', 'ui-tests', name)).href);
const { editCell } = await load('lab.mjs');
const { modelIn, openLite, STATIC } = await load('site.mjs');

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    keys: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '2' },
    before: { type: 'string', default: '1900' },
    pause: { type: 'string', default: '80' },
    eagerness: { type: 'string', default: 'always' }
  }
});
const [keys, rounds, before, pause] = [values.keys, values.rounds, values.before, values.pause].map(Number);
const CODE = readFileSync(path.join(ROOT, 'jupyter_turbopilot', 'suggestion', 'gate.py'), 'utf8');

const files = modelIn(STATIC, values.model && readFileSync(values.model));

const lite = await openLite({
  settingsOverrides: {
    'jupyter-turbopilot:plugin': { eagerness: values.eagerness }
  }
});
try {
  for (let round = 0; round < rounds; round++) {
    for (const state of ['on', 'off']) {
      console.log(`suggestions ${state}: ${JSON.stringify(await typed(state === 'on'))}`);
    }
  }
} finally {
  await lite.close();
}

/** Type once; return the long tasks of the page. */
async function typed(on) {
  const page = await lite.open(await lite.serve({ files }));
  await editCell(page, 0);
  if (!on) {
    await page.evaluate(() => window.jupyterapp.commands.execute('turbopilot:toggle'));
  }
  await page.keyboard.insertText(CODE.slice(0, before));
  await page.keyboard.type(' ');
  await page.keyboard.press('Backspace');
  await page.waitForTimeout(5000);
  await page.evaluate(() => {
    window.longTasks = [];
    new window.PerformanceObserver(list =>
      window.longTasks.push(...list.getEntries().map(({ duration }) => duration))
    ).observe({ type: 'longtask' });
  });
  let shown = 0;
  for (const character of CODE.slice(before, before + keys)) {
    await page.keyboard.insertText(character);
    await page.waitForTimeout(pause);
    shown += await page.locator('.jp-GhostText').count();
  }
  const long = await page.evaluate(() => window.longTasks);
  await page.close();
  return { 'tasks over 50 ms': long.length, 'longest, ms': Math.max(0, ...long), 'keystrokes with ghost text': shown };
}
