/**
 * Measures what the page's main thread does for each key while somebody types in a JupyterLite site.
 *
 *     JUPYTERLITE=.make/lite/bin/jupyter node benchmarks/browser/typing.mjs [--model model.gguf] [--keys 500]
 *         [--rounds 2] [--before 1900] [--pause 80] [--eagerness always]
 *
 * Types real code behind other code, with suggestions switched on and off in turn. Told are the tasks of more than
 * 50 ms, and from the browser's own profiler the time that our code, and what it calls, ran for each key. Without
 * `--model` the model is the tests' one.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
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
const SAMPLE = 200; // microseconds between the profiler's looks
const CODE = readFileSync(path.join(ROOT, 'jupyter_turbopilot', 'suggestion', 'gate.py'), 'utf8');

const files = modelIn(STATIC, values.model && readFileSync(values.model));

const lite = await openLite({
  settingsOverrides: {
    'jupyter-turbopilot:plugin': { eagerness: values.eagerness }
  }
});
const told = { on: [], off: [] };
try {
  for (let round = 0; round < rounds; round++) {
    for (const state of ['on', 'off']) {
      told[state].push(await typed(state === 'on'));
      console.log(`suggestions ${state}: ${JSON.stringify(summary(told[state].at(-1)))}`);
    }
  }
} finally {
  await lite.close();
}

/** Type once; return the long tasks, and our share of each key's time in milliseconds. */
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
  const session = await lite.browser.context.newCDPSession(page);
  await session.send('Profiler.enable');
  await session.send('Profiler.setSamplingInterval', { interval: SAMPLE });
  await session.send('Profiler.start');
  const pressed = [];
  let shown = 0;
  for (const character of CODE.slice(before, before + keys)) {
    pressed.push(Number(process.hrtime.bigint() / 1000n)); // the profiler's clock, too
    await page.keyboard.insertText(character);
    await page.waitForTimeout(pause);
    shown += await page.locator('.jp-GhostText').count();
  }
  const { profile } = await session.send('Profiler.stop');
  const long = await page.evaluate(() => window.longTasks);
  await page.close();
  return { long, shown, ...shares(profile, pressed) };
}

/** How long our code ran after each key, and the longest stretch of it. */
function shares({ nodes, samples, timeDeltas, startTime }, pressed) {
  const parents = new Map();
  nodes.forEach(({ id, children = [] }) => children.forEach(child => parents.set(child, id)));
  const urls = new Map(nodes.map(({ id, callFrame }) => [id, callFrame.url]));
  const isOurs = new Map();
  const ours = id => {
    if (id === undefined) {
      return false;
    }
    if (!isOurs.has(id)) {
      isOurs.set(id, urls.get(id).includes('/jupyter-turbopilot/') || ours(parents.get(id)));
    }
    return isOurs.get(id);
  };
  const each = pressed.map(() => 0);
  let [now, key, stretch, longest] = [startTime, -1, 0, 0];
  samples.forEach((id, at) => {
    now += timeDeltas[at];
    while (key + 1 < pressed.length && pressed[key + 1] <= now) {
      key++;
    }
    const lasted = (timeDeltas[at + 1] ?? 0) / 1000;
    stretch = ours(id) ? stretch + lasted : 0;
    longest = Math.max(longest, stretch);
    if (key >= 0 && stretch) {
      each[key] += lasted;
    }
  });
  return { each, longest };
}

function summary({ long, shown, each, longest }) {
  const sorted = [...each].sort((one, other) => one - other);
  const at = share =>
    Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(2));
  return {
    'tasks over 50 ms': long.length,
    'longest of them, ms': Math.max(0, ...long),
    'our ms a key, median': at(0.5),
    p95: at(0.95),
    most: at(1),
    'our longest stretch, ms': Number(longest.toFixed(1)),
    'keys with grey text': shown
  };
}
