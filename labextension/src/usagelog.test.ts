import { nullTranslator } from '@jupyterlab/translation';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Availability } from './availability';
import { describeUsageLog, explainUsageLog, notifyOfUsageLog } from './usagelog';
import type { IHealth, IUsageLog } from './wire';

interface IOptions {
  autoClose: boolean;
  actions: { label: string; callback: () => void }[];
}

const message = vi.hoisted(() => [] as [string, IOptions][]);

vi.mock('@jupyterlab/apputils', () => ({
  Notification: { info: (words: string, options: IOptions) => message.push([words, options]) }
}));

const USAGE_LOG: IUsageLog = { text: false, file: '/home/ada/study.jsonl', error: null };

const trans = nullTranslator.load('jupyter_turbopilot');

describe('the usage log', () => {
  it('has a label with its contents and its errors', () => {
    expect(describeUsageLog(trans, USAGE_LOG)).toBe('Usage Log…');
    expect(describeUsageLog(trans, { ...USAGE_LOG, text: true })).toBe('Usage Log (Includes Suggestions)…');
    expect(describeUsageLog(trans, { ...USAGE_LOG, error: 'it is a link' })).toBe('Usage Log Error…');
  });

  it('is explained with its contents, its file and how to disable it', () => {
    const words = explainUsageLog(trans, USAGE_LOG);
    for (const part of ['no text', '/home/ada/study.jsonl', 'not sent anywhere', 'c.Turbopilot.usage_log']) {
      expect(words).toContain(part);
    }
    expect(words).not.toContain('cannot be written');
    const other = explainUsageLog(trans, { text: true, file: null, error: 'it is a link' });
    expect(other).toContain('their text');
    expect(other).toContain('cannot be written: it is a link.');
    expect(other).not.toContain('It is stored in');
  });
});

describe('notifyOfUsageLog', () => {
  let log: IUsageLog | null;
  let shown: boolean;
  let pages: Availability[];

  function page() {
    const health = () =>
      Promise.resolve({ ready: true, phase: 'ready', model: 'a', usage_log: log } as IHealth);
    const availability = new Availability(health);
    const showMore = vi.fn();
    notifyOfUsageLog(availability, trans, () => shown, showMore);
    pages.push(availability);
    return { availability, showMore };
  }

  beforeEach(() => {
    message.length = 0;
    pages = [];
    log = USAGE_LOG;
    shown = false;
  });

  it('shows one lasting notification in each page', async () => {
    for (const { availability, showMore } of [page(), page()]) {
      message.length = 0;
      await availability.check();
      await availability.check();
      expect(message).toHaveLength(1);
      const [words, { autoClose, actions }] = message[0];
      expect(words).toContain('logs your suggestions');
      expect(autoClose).toBe(false);
      actions[0].callback();
      expect(showMore).not.toHaveBeenCalled();
      actions[1].callback();
      expect(showMore).toHaveBeenCalledOnce();
    }
  });

  it('shows nothing until a log is enabled', async () => {
    log = null;
    const { availability } = page();
    await availability.check();
    expect(message).toEqual([]);
    log = USAGE_LOG;
    await availability.check();
    expect(message).toHaveLength(1);
  });
});
