/**
 * Types real notebook cells in real time in a real JupyterLab, and scores the ghost text that is visible before the
 * next key: how often it appears, its precision, and the keystrokes it would have saved.
 *
 *     JUPYTER=.venv/bin/jupyter node benchmarks/browser/pace.mjs --set notebooks.json.gz
 *         [--keys 400] [--key 170] [--busy 2] [--above 300] [--settle 0] [--eagerness balanced] [--half held-out]
 *
 * `--above` is the number of cells of other notebooks above the typed cell; `--settle` is the number of seconds
 * between focusing the cell and the first key. Needs the front end's packages (`make dev`), the default model and
 * Chromium.
 */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

const UI = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../labextension/ui-tests');
const { editCell, GHOST, openFile, openLab, writeNotebook } = await import(
  pathToFileURL(path.join(UI, 'lab.mjs')).href
);

const LONGEST = 400;

const { values } = parseArgs({
  options: {
    set: { type: 'string' },
    keys: { type: 'string', default: '400' },
    key: { type: 'string', default: '170' },
    busy: { type: 'string', default: '0' },
    above: { type: 'string', default: '0' },
    settle: { type: 'string', default: '0' },
    eagerness: { type: 'string', default: 'balanced' },
    half: { type: 'string', default: 'held-out' }
  }
});
const [keys, pace, busy, above, settle] = [values.keys, values.key, values.busy, values.above, values.settle].map(Number);

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
const pause = () => pace * Math.exp(0.5 * normal() - 0.125);

function notebooks() {
  const raw = readFileSync(values.set);
  const all = JSON.parse((values.set.endsWith('.gz') ? gunzipSync(raw) : raw).toString());
  return values.half === 'all' ? all : all.filter((_, index) => index % 2 === (values.half === 'held-out') * 1);
}

/** Return the visible ghost text, and the text of the cell without it. */
function look(page) {
  return page.evaluate(selector => {
    const editor = document.activeElement?.closest('.cm-content');
    // JupyterLab briefly keeps an empty placeholder of removed ghost text.
    const grey = document.querySelector(`${selector}:not([class*=Spacer])`);
    const lines = [...(editor?.querySelectorAll('.cm-line') ?? [])].map(line => {
      const copy = line.cloneNode(true);
      copy.querySelectorAll('.jp-GhostText').forEach(node => node.remove());
      return copy.textContent;
    });
    const indicator = grey?.querySelector('.jp-GhostText-streamingIndicator')?.textContent ?? '';
    return { grey: (grey?.textContent ?? '').replace(indicator, ''), text: lines.join('\n') };
  }, GHOST);
}

/** Return the accepted characters: the first line must be correct, and worth a keystroke. */
function judge(grey, future) {
  const head = grey.split('\n')[0].trimEnd() || grey.trimEnd();
  const right = future.startsWith(head) && (head.trim().length >= 4 || !future.slice(head.length).split('\n')[0].trim());
  return right ? head.length : 0;
}

const found = { keys: 0, shown: 0, right: 0, saved: 0, first: null, ms: 0, cpu: 0 };

/** Return the CPU seconds of a process on Linux. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function typeCell(page, source, began) {
  let typed = '';
  let last = '';
  let covered = 0;
  while (typed.length < Math.min(source.length, LONGEST) && found.keys < keys) {
    const char = source[typed.length];
    const wait = pause();
    await page.keyboard.type(char);
    typed += char;
    found.keys++;
    if (char === '\n') {
      // Remove the editor's automatic indentation, which may differ from the notebook's.
      await page.keyboard.press('Shift+Home');
      await page.keyboard.press('Delete');
    }
    await page.waitForTimeout(wait);
    const { grey } = await look(page);
    const continues = last.endsWith(grey) && last.length > grey.length;
    if (grey.trim() && !continues && typed.length >= covered) {
      found.first ??= Date.now() - began;
      const worth = judge(grey, source.slice(typed.length));
      found.shown++;
      found.right += worth > 0;
      found.saved += Math.max(0, worth - 1);
      covered = typed.length + worth;
    }
    last = grey;
  }
}

const others = Array.from({ length: busy }, () => spawn(process.execPath, ['-e', 'for (;;);']));
const { lab, browser, close } = await openLab({
  eagerness: values.eagerness,
  settings: { '@jupyterlab/notebook-extension:tracker': { codeCellConfig: { autoClosingBrackets: false } } }
});
try {
  const set = notebooks();
  const filler = set.flatMap(({ cells }) => cells).filter(({ type }) => type === 'code');
  for (let number = 0; found.keys < keys; number++) {
    const { cells, typed } = set[number % set.length];
    const active = typed[Math.floor(number / set.length) % typed.length];
    const head = filler.slice(0, above).map(({ source }) => source);
    const body = cells
      .slice(0, active)
      .map(({ type, source }) => ({ cell_type: type === 'code' ? 'code' : 'markdown', source }));
    writeNotebook(lab, `pace-${number}.ipynb`, [...head, ...body, '']);
    const page = await openFile(browser.context, lab, `pace-${number}.ipynb`);
    // JupyterLab renders cells far below only after scrolling to them.
    const last = page.locator(`.jp-Notebook .jp-Cell[data-windowed-list-index="${head.length + body.length}"] .cm-content`);
    for (let tries = 0; tries < 100 && !(await last.isVisible()); tries += 1) {
      await page.locator('.jp-Notebook .jp-WindowedPanel-outer').evaluate(node => node.scrollTo(0, node.scrollHeight));
      await page.waitForTimeout(100);
    }
    await last.click();
    await page.waitForTimeout(settle * 1000);
    const began = Date.now();
    const used = cpuSeconds(lab.pid());
    await typeCell(page, cells[active].source, began);
    found.ms += Date.now() - began;
    found.cpu += cpuSeconds(lab.pid()) - used;
    await page.close();
  }
} finally {
  others.forEach(other => other.kill('SIGKILL'));
  await close();
}
const { keys: pressed, shown, right, saved, first, ms, cpu } = found;
console.log(
  '| keystrokes | ms per key: target, actual | busy | cells above | shown per 100 keystrokes | precision | saved | first text after | CPU seconds of the server for 1 000 characters |'
);
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- |');
console.log(
  `| ${pressed} | ${pace}, ${Math.round(ms / pressed)} | ${busy} | ${above} | ${((100 * shown) / pressed).toFixed(1)} | ` +
    `${(right / Math.max(1, shown)).toFixed(2)} | ${(saved / pressed).toFixed(3)} | ` +
    `${first === null ? 'never' : `${(first / 1000).toFixed(1)} s`} | ${((1000 * cpu) / pressed).toFixed(0)} |`
);
