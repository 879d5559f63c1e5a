import type { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Availability } from './availability';
import { Notice, notifyOfHealth } from './notice';
import type { DownloadOffer } from './offer';
import { AnswerError, FOREIGN, ServerError } from './trouble';
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
      update: () => true,
      dismiss: (id: string) => shown.delete(id)
    }
  };
});

describe('what is said until the next key', () => {
  let notice: Notice;

  beforeEach(() => {
    shown.clear();
    notice = new Notice();
    vi.stubGlobal('document', new EventTarget());
  });

  afterEach(() => vi.unstubAllGlobals());

  const press = (key: string) => document.dispatchEvent(Object.assign(new Event('keydown'), { key }));
  const said = () => [...shown.values()];

  it('is over with the next key', () => {
    notice.untilKey('nothing');
    expect(said()).toEqual(['nothing']);
    press('a');
    expect(said()).toEqual([]);
  });

  it.each(['Alt', 'Shift', 'Control', 'Meta', 'AltGraph'])('is not over with %s alone', key => {
    notice.untilKey('nothing');
    press(key);
    expect(said()).toEqual(['nothing']);
    press('\\');
    expect(said()).toEqual([]);
  });

  it('is over once it is no longer true', () => {
    notice.brief('switched off');
    notice.withdraw();
    expect(said()).toEqual([]);
  });

  it('is not withdrawn where it has become a warning', () => {
    notice.brief('gone');
    notice.warn('gone');
    notice.withdraw();
    expect(said()).toEqual(['gone']);
  });

  it('takes nothing away that was said after it', () => {
    notice.untilKey('nothing');
    notice.brief('loading');
    press('a');
    expect(said()).toEqual(['loading']);
  });

  it('stays where it has become a warning', () => {
    notice.untilKey('gone');
    notice.warn('gone');
    press('a');
    expect(said()).toEqual(['gone']);
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

describe('a notification of the health', () => {
  let said: string[];
  let availability: Availability;
  let health: () => Promise<IHealth>;

  beforeEach(() => {
    said = [];
    health = () => new Promise(() => undefined);
    availability = new Availability(() => health());
    const notice = {
      warn: (message: string, actions: Notification.IAction[]) => {
        said.push(message);
        actions.forEach(({ label, callback }) => {
          said.push(label);
          callback?.(new Event('click') as MouseEvent);
        });
      },
      clear: () => said.push('clear'),
      forget: () => said.push('forget')
    } as unknown as Notice;
    const offer = { offer: (name: string) => said.push(`offer ${name}`) } as unknown as DownloadOffer;
    notifyOfHealth(availability, notice, offer, nullTranslator.load('jupyter_turbopilot'), () =>
      said.push('here')
    );
    return () => availability.dispose();
  });

  it.each(['model_missing', 'model_damaged'])('offers the download at %s', code => {
    availability.told({ ...MISSING, code });
    expect(said.at(-1)).toBe('offer a');
  });

  it('is not worth one failure, and ends with the trouble', () => {
    availability.told(READY);
    said.length = 0;
    availability.failed(new AnswerError('silent'));
    expect(said).toEqual([]);
    availability.told(READY);
    availability.failed(new AnswerError('silent'));
    expect(said).toEqual(['Turbopilot: The server does not respond.']);
    availability.answered();
    expect(said.at(-1)).toBe('forget');
  });

  it('is not worth a word where the server has too many requests, however often it says so', () => {
    availability.told(READY);
    said.length = 0;
    for (let key = 0; key < 20; key++) {
      availability.failed(new ServerError(429, key % 2 ? 'busy' : 'too_many_requests', 'Busy.', 1000));
      expect(availability.state).toMatchObject({ open: false, trouble: { kind: 'busy' } });
      availability.told(READY);
      expect(availability.open).toBe(true);
    }
    expect(said.filter(words => !['clear', 'forget'].includes(words))).toEqual([]);
  });

  it('is taken away while the model is loading, and may be the same again', () => {
    availability.failed(new AnswerError('silent'));
    availability.told({ ...READY, ready: false, phase: 'loading' });
    expect(said).toEqual(['clear']);
  });

  it.each([
    ['a server lacks our extension', new ServerError(404, FOREIGN, 'Not Found'), /jupyter server extension/],
    ['no server is there', new AnswerError('serverless'), /No Jupyter server responds/]
  ])('offers the browser where %s', async (_, trouble, words) => {
    health = () => Promise.reject(trouble);
    availability.failed(trouble);
    await availability.check();
    expect(said.at(-3)).toMatch(words);
    expect(said.slice(-2)).toEqual(['Complete in the browser', 'here']);
  });

  it('offers the command that installs what is missing', () => {
    const missing = { ...MISSING, code: 'engine_missing', command: 'pip install it' };
    availability.told(missing);
    availability.told(missing);
    expect(said).toEqual(['Turbopilot: Fetch it.', 'Copy Command']);
    expect(copied).toEqual(['pip install it']);
  });

  it('says nothing of a model to somebody who has removed it', () => {
    const removed = { ...MISSING, code: 'withheld', reason: 'It was removed.' };
    availability.told(removed);
    availability.told(removed);
    expect(said).toEqual([]);
  });
});
