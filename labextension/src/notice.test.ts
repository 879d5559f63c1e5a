import type { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Availability } from './availability';
import { Notice, notifyOfHealth } from './notice';
import type { DownloadOffer } from './downloadoffer';
import { ResponseError, UNKNOWN_CODE, ServerError } from './requesterror';
import type { IHealth } from './wire';

const shown = vi.hoisted(() => new Map<string, string>());
const copied = vi.hoisted((): string[] => []);

vi.mock('@jupyterlab/apputils', () => {
  let last = 0;
  const show = (message: string): string => {
    const id = String(++last);
    shown.set(id, message);
    return id;
  };
  return {
    Clipboard: { copyToSystem: (text: string) => copied.push(text) },
    Notification: {
      manager: { has: (id: string) => shown.has(id) },
      info: show,
      warning: show,
      // JupyterLab displays an update later, also of a notification that was dismissed.
      update: ({ id, message }: { id: string; message: string }) => setTimeout(() => shown.set(id, message)),
      dismiss: (id: string) => shown.delete(id)
    }
  };
});

describe('untilKey', () => {
  let notice: Notice;

  beforeEach(() => {
    shown.clear();
    notice = new Notice();
    vi.useFakeTimers();
    vi.stubGlobal('document', new EventTarget());
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  const press = (key: string) => document.dispatchEvent(Object.assign(new Event('keydown'), { key }));
  const output = () => {
    vi.runAllTimers();
    return [...shown.values()];
  };

  it('removes the notification at the next keystroke', () => {
    notice.untilKey('nothing');
    expect(output()).toEqual(['nothing']);
    press('a');
    expect(output()).toEqual([]);
  });

  it.each(['Alt', 'Shift', 'Control', 'Meta', 'AltGraph'])(
    'keeps the notification when only %s is pressed',
    key => {
      notice.untilKey('nothing');
      press(key);
      expect(output()).toEqual(['nothing']);
      press('\\');
      expect(output()).toEqual([]);
    }
  );

  it('is removed by withdraw', () => {
    notice.brief('switched off');
    notice.withdraw();
    expect(output()).toEqual([]);
  });

  it('is removed by withdraw right after it was extended', () => {
    notice.brief('switched off');
    notice.brief('switched off');
    notice.withdraw();
    expect(output()).toEqual([]);
  });

  it('is shown again right after it was removed', () => {
    notice.brief('switched off');
    notice.withdraw();
    notice.brief('switched off');
    expect(output()).toEqual(['switched off']);
  });

  it('is not withdrawn after it became a warning', () => {
    notice.brief('gone');
    notice.warn('gone');
    notice.withdraw();
    expect(output()).toEqual(['gone']);
  });

  it('keeps later notifications', () => {
    notice.untilKey('nothing');
    notice.brief('loading');
    press('a');
    expect(output()).toEqual(['loading']);
  });

  it('keeps a notification that became a warning', () => {
    notice.untilKey('gone');
    notice.warn('gone');
    press('a');
    expect(output()).toEqual(['gone']);
  });
});

const READY = { ready: true, phase: 'ready', model: 'a' } as IHealth;
const MISSING = {
  ready: false,
  phase: 'failed',
  code: 'model_missing',
  model: 'a',
  reason: 'Fetch it.'
} as IHealth;

describe('notifyOfHealth', () => {
  let output: string[];
  let availability: Availability;
  let health: () => Promise<IHealth>;

  beforeEach(() => {
    output = [];
    health = () => new Promise(() => undefined);
    availability = new Availability(() => health());
    const notice = {
      warn: (message: string, actions: Notification.IAction[]) => {
        output.push(message);
        actions.forEach(({ label, callback }) => {
          output.push(label);
          callback?.(new Event('click') as MouseEvent);
        });
      },
      clear: () => output.push('clear'),
      forget: () => output.push('forget')
    } as unknown as Notice;
    const offer = { offer: (name: string) => output.push(`offer ${name}`) } as unknown as DownloadOffer;
    notifyOfHealth(availability, notice, offer, nullTranslator.load('jupyter_turbopilot'), () =>
      output.push('here')
    );
  });

  it.each(['model_missing', 'model_damaged'])('offers the download for %s', code => {
    availability.reported({ ...MISSING, code });
    expect(output.at(-1)).toBe('offer a');
  });

  it('warns after the second failure and clears the warning after recovery', () => {
    availability.reported(READY);
    output.length = 0;
    availability.failed(new ResponseError('timeout'));
    expect(output).toEqual([]);
    availability.reported(READY);
    availability.failed(new ResponseError('timeout'));
    expect(output).toEqual(['Turbopilot: The server does not respond.']);
    availability.answered();
    expect(output.at(-1)).toBe('forget');
  });

  it('warns once about an outage whose messages vary', () => {
    availability.reported(READY);
    output.length = 0;
    for (const reason of ['Nothing answers. Retrying…', 'It has failed. Retrying…', 'It is loading.']) {
      availability.reported({ ...MISSING, code: 'engine_gone', reason });
    }
    expect(output).toEqual(['Turbopilot: It has failed. Retrying…']);
    availability.reported({ ...MISSING, code: 'memory', reason: 'Not enough memory.' });
    expect(output.at(-1)).toBe('Turbopilot: Not enough memory.');
  });

  it('never warns if the administrator has switched suggestions off', () => {
    availability.reported(READY);
    output.length = 0;
    const off = { ...MISSING, code: 'disabled', reason: 'Off.' };
    availability.reported(off);
    availability.reported(off);
    availability.reported(off);
    expect(output).toEqual([]);
  });

  it('never warns about a busy server', () => {
    availability.reported(READY);
    output.length = 0;
    for (let key = 0; key < 20; key++) {
      availability.failed(new ServerError(429, key % 2 ? 'busy' : 'too_many_requests', 'Busy.', 1000));
      expect(availability.state).toMatchObject({
        open: false,
        error: { kind: key % 2 ? 'busy' : 'limited' }
      });
      availability.reported(READY);
      expect(availability.open).toBe(true);
    }
    expect(output.filter(words => !['clear', 'forget'].includes(words))).toEqual([]);
  });

  it('never warns about a server that cannot be reached, but about the next error', async () => {
    health = () => Promise.reject(new TypeError('Failed to fetch'));
    for (let tries = 0; tries < 3; tries++) {
      await availability.check();
    }
    expect(availability.state.error?.kind).toBe('unreachable');
    expect(output).toEqual([]);
    health = () => Promise.reject(new ResponseError('unexpected'));
    await availability.check();
    expect(output).toEqual([
      'Turbopilot: Got a web page instead of an answer. Log in again or check your proxy.'
    ]);
  });

  it('clears the warning while the model is loading and may show it again', () => {
    availability.failed(new ResponseError('timeout'));
    availability.reported({ ...READY, ready: false, phase: 'loading' });
    expect(output).toEqual(['clear']);
  });

  it.each([
    [
      'the server lacks the extension',
      new ServerError(404, UNKNOWN_CODE, 'Not Found'),
      /jupyter server extension/
    ],
    ['there is no server', new ResponseError('no server'), /No Jupyter server responds/]
  ])('offers the browser engine if %s', async (_, error, words) => {
    health = () => Promise.reject(error);
    availability.failed(error);
    await availability.check();
    expect(output.at(-3)).toMatch(words);
    expect(output.slice(-2)).toEqual(['Use Browser Model', 'here']);
  });

  it('offers the command that installs the engine', () => {
    const missing = { ...MISSING, code: 'engine_missing', command: 'pip install it' };
    availability.reported(missing);
    availability.reported(missing);
    expect(output).toEqual(['Turbopilot: Fetch it.', 'Copy Engine Install Command']);
    expect(copied).toEqual(['pip install it']);
  });

  it('shows nothing for a model that the user removed', () => {
    const removed = { ...MISSING, code: 'withheld', reason: 'It was removed.' };
    availability.reported(removed);
    availability.reported(removed);
    expect(output).toEqual([]);
  });
});
