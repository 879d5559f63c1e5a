/**
 * Types in the last cell of a notebook in real time in a real JupyterLab with one completer, and records the suggestion
 * that is visible before each key. research/benchmarks/peers.py chooses the cells and scores the recordings.
 *
 *     JUPYTER=.venv/bin/jupyter node research/benchmarks/browser/pace.mjs --peer turbopilot --task task.json --into keys.json
 *         [--key 200] [--settle 5] [--pause 2000] [--slower 3] [--wait 30] [--server LLAMA_SERVER] [--models FOLDER]
 *         [--model FILE]
 *
 * `--settle` is the minimum number of seconds between focusing the cell and the first key. `--pause` adds milliseconds
 * before each Enter: JupyterLab requests nothing at the beginning of a line. `--slower` multiplies the pause, the key
 * interval, and the delays and time limits of the completer. `--wait` waits up to so many seconds for the suggestion after
 * each key. Needs the front end's packages (`make lab`), the default model, Chromium and Linux.
 */

import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { startOllama } from './ollama.mjs';

const UI = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../labextension/ui-tests');
const { openFile, openLab, writeNotebook } = await import(pathToFileURL(path.join(UI, 'lab.mjs')).href);

const { values } = parseArgs({
  options: {
    peer: { type: 'string', default: 'turbopilot' },
    task: { type: 'string' },
    into: { type: 'string' },
    key: { type: 'string', default: '200' },
    settle: { type: 'string', default: '5' },
    pause: { type: 'string', default: '0' },
    slower: { type: 'string', default: '1' },
    wait: { type: 'string', default: '0' },
    server: { type: 'string' },
    models: { type: 'string' },
    model: { type: 'string' }
  }
});
const [slower, settle, patience] = [values.slower, values.settle, values.wait].map(Number);
const [pace, linePause] = [values.key, values.pause].map(ms => slower * ms);

/** The server's flags, JupyterLab's settings, the inline completer and its default delays; `ollama`: it needs this server. */
const PEERS = {
  turbopilot: {},
  'turbopilot-no-adapter': { flags: ['--Turbopilot.adapters=[]'] },
  'notebook-intelligence': {
    ollama: true,
    provider: '@plmbr/notebook-intelligence',
    delays: { debouncerDelay: 200, timeout: 15_000 }
  },
  'jupyter-ai': {
    ollama: true,
    provider: '@jupyterlab/jupyter-ai',
    delays: { debouncerDelay: 250, timeout: 5000 },
    flags: ['--AiExtension.default_completions_model=ollama:qwen2.5-coder']
  },
  'jupyterlab-lsp': {
    // A language server keeps the packages that it parsed. The temporary home of each recording has no cache.
    environment: { XDG_CACHE_HOME: path.resolve(path.dirname(process.env.JUPYTER ?? ''), '../cache') },
    settings: {
      '@jupyterlab/completer-extension:manager': { autoCompletion: true },
      '@jupyter-lsp/jupyterlab-lsp:completion': { continuousHinting: true }
    }
  }
};
const peer = PEERS[values.peer];
const delays = Object.fromEntries(
  Object.entries(peer.delays ?? {}).map(([name, ms]) => [name, slower * ms])
);
// JupyterLab drops later suggestions.
const time = patience ? { timeout: 1000 * patience } : {};

/** Reproducible pseudo-random numbers. */
function random(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return (seed + 1) / 4294967297;
  };
}

const draw = random(7);
const normal = () => Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw());
/** Pauses between keys have a log-normal distribution. */
const keyInterval = () => pace * Math.exp(0.5 * normal() - 0.125);

/** Record, in the page, the visible suggestion and the time from the first key until the first frame with it. */
function watch() {
  let [begun, before, ms] = [null, '', null];
  const source = () => window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource();
  const visible = () => {
    // JupyterLab briefly keeps an empty placeholder of removed ghost text.
    const grey = document.querySelector('.jp-GhostText:not([class*=Spacer])');
    if (grey) {
      const indicator = grey.querySelector('.jp-GhostText-streamingIndicator')?.innerText ?? '';
      return grey.innerText.replace(indicator, '');
    }
    const entry = document.querySelector(
      '.jp-Completer:not(.lm-mod-hidden) .jp-Completer-item.jp-mod-active'
    );
    const text = entry?.dataset.value ?? '';
    let length = text.length;
    while (!source().endsWith(text.slice(0, length))) {
      length--;
    }
    return text.slice(length);
  };
  const frame = () => {
    const text = begun === null || ms !== null ? '' : visible();
    if (text.trim() && !before.endsWith(text)) {
      ms = performance.now() - begun;
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.addEventListener('keydown', () => (begun ??= performance.now()), true);
  window.typist = {
    source,
    visible,
    take() {
      const found = { text: visible(), ms };
      [begun, before, ms] = [null, found.text, null];
      return found;
    }
  };
}

/** Return the CPU seconds of processes and all their descendants on Linux. */
function cpuSeconds(pids) {
  const processes = readdirSync('/proc')
    .filter(Number)
    .map(pid => {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ').map(Number);
        return {
          pid: Number(pid),
          parent: fields[1],
          ticks: fields[11] + fields[12] + fields[13] + fields[14]
        };
      } catch {
        return { pid: 0, parent: 0, ticks: 0 }; // it has just ended
      }
    });
  const sum = ids =>
    processes
      .filter(({ pid }) => ids.includes(pid))
      .reduce((total, { pid, ticks }) => {
        const children = processes.filter(({ parent }) => parent === pid).map(child => child.pid);
        return total + ticks / 100 + sum(children);
      }, 0);
  return sum(pids);
}

/** Wait until the processes use less than a fifth of a core, at most a minute. */
async function waitUntilIdle(page, pids) {
  const end = Date.now() + 60_000;
  let used;
  do {
    used = cpuSeconds(pids);
    await page.waitForTimeout(1000);
  } while (cpuSeconds(pids) - used > 0.2 && Date.now() < end);
}

/** Wait until a suggestion has been the same for a second. */
async function waitForText(page) {
  let [last, same] = ['', 0];
  for (const end = Date.now() + 1000 * patience; same < 10 && Date.now() < end;) {
    await page.waitForTimeout(100);
    const text = await page.evaluate(() => window.typist.visible());
    same = text.trim() && text === last ? same + 1 : 0;
    last = text;
  }
}

/** Type characters; return the visible suggestion before each, and one after the last. */
async function type(page, characters) {
  const keys = [];
  for (const [at, char] of characters.entries()) {
    const due = Date.now() + keyInterval() + (char !== '\n' && characters[at + 1] === '\n' ? linePause : 0);
    keys.push(await page.evaluate(() => window.typist.take()));
    if (char === '\n' && (await page.locator('.jp-Completer:not(.lm-mod-hidden)').count())) {
      await page.keyboard.press('Escape'); // Enter would accept an entry
    }
    await page.keyboard.type(char);
    if (char === '\n') {
      // Remove the editor's automatic indentation, which may differ from the notebook's.
      await page.keyboard.press('Shift+Home');
      await page.keyboard.press('Delete');
    }
    await page.waitForTimeout(Math.max(0, due - Date.now()));
    await waitForText(page);
  }
  keys.push(await page.evaluate(() => window.typist.take()));
  return keys;
}

const { cells, typed } = JSON.parse(readFileSync(values.task, 'utf8'));
const ollama = peer.ollama ? await startOllama(values.server, values.model) : null;
const { lab, browser, close } = await openLab({
  plain: true,
  home: true,
  files: [],
  loaded: values.peer.startsWith('turbopilot'),
  flags: peer.flags,
  environment: {
    TURBOPILOT_MODELS: values.models,
    ...(ollama && { OLLAMA_HOST: ollama.url }),
    ...peer.environment
  },
  settings: {
    '@jupyterlab/notebook-extension:tracker': {
      codeCellConfig: { autoClosingBrackets: false }
    },
    '@jupyterlab/completer-extension:inline-completer': {
      providers: peer.provider ? { [peer.provider]: { enabled: true, ...delays, ...time } } : {}
    },
    ...peer.settings
  }
});
try {
  const whole = cells.map(({ type, source }) => ({
    cell_type: type === 'code' ? 'code' : 'markdown',
    source
  }));
  writeNotebook(lab, 'typed.ipynb', whole);
  const page = await openFile(browser.context, lab, 'typed.ipynb', {
    before: watch
  });
  // JupyterLab renders cells far below only after scrolling to them.
  const last = page.locator(
    `.jp-Notebook .jp-Cell[data-windowed-list-index="${cells.length - 1}"] .cm-content`
  );
  for (let tries = 0; tries < 100 && !(await last.isVisible()); tries += 1) {
    await page
      .locator('.jp-Notebook .jp-WindowedPanel-outer')
      .evaluate(node => node.scrollTo(0, node.scrollHeight));
    await page.waitForTimeout(100);
  }
  await last.click();
  await page.keyboard.press('Control+End');
  const pids = [lab.pid(), ...(ollama ? [ollama.pid] : [])];
  // Fill the prompt cache of peers without a warm-up, as earlier requests do in the middle of a session.
  await page.keyboard.type('x');
  await page.waitForTimeout(settle * 1000);
  await waitUntilIdle(page, pids);
  await page.keyboard.press('Backspace');
  const begun = Date.now();
  const used = cpuSeconds(pids);
  const keys = await type(page, [...typed]);
  const cpu = cpuSeconds(pids) - used;
  const seconds = (Date.now() - begun) / 1000;
  const present = await page.evaluate(() => window.typist.source());
  if (present !== cells.at(-1).source + typed) {
    throw new Error(`The cell contains ${JSON.stringify(present)}.`);
  }
  writeFileSync(`${values.into}.part`, JSON.stringify({ keys, cpu, seconds }));
  renameSync(`${values.into}.part`, values.into);
} finally {
  ollama?.stop(); // a server that waits for an answer does not end
  await close();
}
