/**
 * Measures the start and the rest of a server with the default model, in a real JupyterLab.
 *
 *     JUPYTER=.venv/bin/jupyter node research/benchmarks/browser/rest.mjs [--cells 60] [--seconds 60]
 *
 * First suggestion: a notebook is opened, typed in, and opened again after a restart of the server, which has saved its
 * sequences; from the first key to the ghost text, at eagerness *always*. Rest: in how many seconds the server's process
 * uses more than 0.1 % of a core while the notebook is open and the user does nothing, and which requests the page sends.
 */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const UI = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../labextension/ui-tests');
const { editCell, GHOST, openFile, openLab, ready, writeNotebook } = await import(
  pathToFileURL(path.join(UI, 'lab.mjs')).href
);
const { values } = parseArgs({
  options: {
    cells: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '60' },
    settle: { type: 'string', default: '45' }
  }
});
const [cells, seconds, settle] = [values.cells, values.seconds, values.settle].map(Number);

/** Return the nanoseconds that all threads of a process have run. */
function ran(pid) {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => {
    try {
      return sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      return sum; // the thread has ended
    }
  }, 0);
}

const sources = Array.from(
  { length: cells },
  (_, n) => `speed_${n} = distance_${n} / time_${n}\nprint(speed_${n})`
);
const { lab, browser, close } = await openLab();
try {
  writeNotebook(lab, 'rest.ipynb', [...sources, 'speed = distance / ']);
  const suggested = async () => {
    const opened = Date.now();
    const page = await openFile(browser.context, lab, 'rest.ipynb');
    const drawn = Date.now();
    const last = page.locator(`.jp-Notebook .jp-Cell[data-windowed-list-index="${cells}"] .cm-content`);
    for (let tries = 0; tries < 100 && !(await last.isVisible()); tries += 1) {
      await page
        .locator('.jp-Notebook .jp-WindowedPanel-outer')
        .evaluate(node => node.scrollTo(0, node.scrollHeight));
      await page.waitForTimeout(50);
    }
    await last.click();
    await page.keyboard.press('Control+End');
    const begun = Date.now();
    await page.keyboard.type('t');
    await page.waitForSelector(GHOST, { timeout: 60_000 });
    const now = Date.now();
    console.log(
      `drawn after ${drawn - opened} ms; first suggestion ${now - begun} ms after the first key, ${now - drawn} ms after it was drawn`
    );
    return page;
  };
  await (await suggested()).close();
  await lab.kill('SIGTERM');
  await lab.start();
  await ready(lab);
  const page = await suggested();
  const requests = [];
  page.on('request', request => requests.push(new URL(request.url()).pathname));
  await page.waitForTimeout(settle * 1000);
  requests.length = 0;
  const busy = [];
  for (let second = 0; second < seconds; second += 1) {
    const [before, sent] = [ran(lab.pid()), requests.length];
    await new Promise(resolve => setTimeout(resolve, 1000));
    busy.push({
      ms: (ran(lab.pid()) - before) / 1e6,
      requests: requests.slice(sent)
    });
  }
  const above = busy.filter(({ ms }) => ms > 1);
  const own = busy.filter(({ requests: sent }) => sent.some(name => name.includes('/turbopilot/')));
  const total = busy.reduce((sum, { ms }) => sum + ms, 0);
  console.log(
    `at rest: ${total.toFixed(0)} ms of CPU in ${seconds} s; above 0.1 % in ${above.length} s, ` +
      `of these without any request ${above.filter(({ requests: sent }) => !sent.length).length}; ` +
      `requests to Turbopilot in ${own.length} s`
  );
  console.log(
    busy
      .map(
        ({ ms, requests: sent }) =>
          `${ms.toFixed(1)}${sent.length ? ` ${sent.map(name => name.split('/').slice(-2).join('/'))}` : ''}`
      )
      .join('; ')
  );
} finally {
  await close();
}
