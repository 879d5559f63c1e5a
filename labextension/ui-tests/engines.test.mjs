/** Engines other than the default one, in a real browser. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import {
  editCell,
  freePort,
  GHOST,
  ghost,
  openFile,
  openLab,
  RECTANGLE,
  screenshot,
  writeNotebook
} from './lab.mjs';

/** Seconds until ghost text must return: the time to load the model and for a suggestion. */
const SOON = 20_000;

/** The engine process of a server. */
function childOf(parent) {
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const above = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[1];
      if (command.includes('engine.child_process') && Number(above) === parent) {
        return Number(pid);
      }
    } catch {
      // It has ended meanwhile.
    }
  }
  return null;
}

describe('a model in a child process', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let lab;

  before(async () => {
    ({ lab, browser, close } = await openLab({ flags: ['--Turbopilot.subprocess=True'] }));
  });

  after(() => close?.());

  test('ghost text returns after the process is killed while the user types', async () => {
    writeNotebook(lab, 'killed.ipynb', [RECTANGLE]);
    const page = await openFile(browser.context, lab, 'killed.ipynb');
    await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    const first = childOf(lab.pid());
    assert.ok(first, 'there is no child process');
    process.kill(first, 'SIGKILL');
    await page.keyboard.type('w', { delay: 60 });
    await page.waitForTimeout(300);
    await screenshot(page, 'engine-killed');
    // Not an earlier text: the page would show its cached suggestion.
    const typed = async () => {
      await page.keyboard.press('Backspace');
      await page.keyboard.type('w', { delay: 60 });
    };
    const end = Date.now() + SOON;
    await typed();
    while (!(await page.locator(GHOST).count()) && Date.now() < end) {
      await page.waitForTimeout(500);
      await typed();
    }
    assert.match(await ghost(page), /^\w+/);
    await screenshot(page, 'engine-back');
    const second = childOf(lab.pid());
    assert.ok(second && second !== first, 'the same process');
    assert.equal(await page.locator('.jp-Notebook .jp-Cell').count(), 1);
    await page.close();
  });
});

describe('a model on a remote server', { timeout: 300_000 }, () => {
  let browser;
  let close;
  let elsewhere;
  let lab;
  let port;

  before(async () => {
    port = await freePort();
    const serve = ['turbopilot', 'serve', '--no-api-key', `--port=${port}`];
    elsewhere = spawn(process.env.JUPYTER ?? 'jupyter', serve, { stdio: 'ignore' });
    // Until the remote server has loaded its model, the lab reports a failed engine.
    const answers = () =>
      fetch(`http://127.0.0.1:${port}/health`).then(
        ({ ok }) => ok,
        () => false
      );
    for (let tries = 0; tries < 240 && !(await answers()); tries++) {
      await new Promise(resolve => setTimeout(resolve, 250));
    }
    const urls = `--TurbopilotRemote.urls=http://127.0.0.1:${port}`;
    ({ lab, browser, close } = await openLab({ flags: ['--Turbopilot.engine=remote', urls] }));
  });

  after(async () => {
    elsewhere.kill('SIGKILL');
    await close?.();
  });

  test('ghost text comes from the remote server, which the status item names', async () => {
    writeNotebook(lab, 'elsewhere.ipynb', [RECTANGLE]);
    const page = await openFile(browser.context, lab, 'elsewhere.ipynb');
    await editCell(page, 0);
    await page.keyboard.type('.');
    assert.equal(await ghost(page), 'height');
    const status = page.locator('.jp-Turbopilot-status');
    assert.match(await status.innerText(), new RegExp(`127\\.0\\.0\\.1:${port}`));
    assert.match(await status.getAttribute('title'), /Code is sent to 127/);
    await screenshot(page, 'engine-elsewhere');
    await status.click();
    await page.getByText('Models…').first().click();
    const panel = page.locator('.jp-Turbopilot-models');
    await panel.getByText(`The model runs on 127.0.0.1:${port}`).waitFor();
    assert.equal(await panel.locator('form').isVisible(), false);
    await screenshot(page, 'engine-elsewhere-models');
    await page.locator('.lm-TabBar-tab', { hasText: 'elsewhere.ipynb' }).first().click();
    await editCell(page, 0);
    elsewhere.kill('SIGKILL');
    await page.keyboard.type('x', { delay: 60 });
    // First the error of the request, then that of the health check.
    await page.waitForFunction(
      () => document.querySelector('.jp-Turbopilot-status').title.includes('Retrying'),
      null,
      { timeout: SOON }
    );
    assert.equal(await status.getAttribute('data-condition'), 'failed');
    await page.keyboard.type('yz');
    assert.match(await page.locator('.cm-content').first().innerText(), /self\.xyz/);
    await screenshot(page, 'engine-elsewhere-gone');
    await page.close();
  });
});
