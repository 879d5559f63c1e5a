import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Availability } from './availability';
import { describeStudy, explainStudy, tellOfStudy } from './study';
import type { IHealth, IStudy } from './wire';

interface IOptions {
  autoClose: boolean;
  actions: { label: string; callback: () => void }[];
}

const said = vi.hoisted(() => [] as [string, IOptions][]);

vi.mock('@jupyterlab/apputils', () => ({
  Notification: { info: (words: string, options: IOptions) => said.push([words, options]) }
}));

const STUDY: IStudy = { text: false, file: '/home/ada/study.jsonl', trouble: null };

const trans = nullTranslator.load('jupyter_turbopilot');

describe('a usage log', () => {
  it('is announced with whether it holds text, and whether it can be written', () => {
    expect(describeStudy(trans, null)).toBe('Usage Log: Off');
    expect(describeStudy(trans, STUDY)).toBe('Usage Log: On…');
    expect(describeStudy(trans, { ...STUDY, text: true })).toContain('With Suggestion Text');
    expect(describeStudy(trans, { ...STUDY, trouble: 'it is a link' })).toContain('Cannot Be Written');
  });

  it('is explained: what it holds, where it is, how it ends', () => {
    const words = explainStudy(trans, STUDY);
    for (const part of ['no text', '/home/ada/study.jsonl', 'not sent anywhere', 'c.Turbopilot.usage_log']) {
      expect(words).toContain(part);
    }
    expect(words).not.toContain('cannot be written');
    const other = explainStudy(trans, { text: true, file: null, trouble: 'it is a link' });
    expect(other).toContain('their text');
    expect(other).toContain('cannot be written: it is a link.');
    expect(other).not.toContain('It is stored in');
  });
});

describe('that a usage log is kept, where no status item says so', () => {
  let study: IStudy | null;
  let shown: boolean;
  let pages: Availability[];

  function page() {
    const health = () => Promise.resolve({ ready: true, phase: 'ready', model: 'a', study } as IHealth);
    const availability = new Availability(health);
    const showMore = vi.fn();
    tellOfStudy(availability, trans, () => shown, showMore);
    pages.push(availability);
    return { availability, showMore };
  }

  beforeEach(() => {
    said.length = 0;
    pages = [];
    study = STUDY;
    shown = false;
  });

  afterEach(() => pages.forEach(one => one.dispose()));

  it('is shown once in each page, stays, and links to details', async () => {
    for (const { availability, showMore } of [page(), page()]) {
      said.length = 0;
      await availability.check();
      await availability.check();
      expect(said).toHaveLength(1);
      const [words, { autoClose, actions }] = said[0];
      expect(words).toContain('logs your suggestions');
      expect(autoClose).toBe(false);
      actions[0].callback();
      expect(showMore).not.toHaveBeenCalled();
      actions[1].callback();
      expect(showMore).toHaveBeenCalledOnce();
    }
  });

  it('is not shown without a log, until there is one', async () => {
    study = null;
    const { availability } = page();
    await availability.check();
    expect(said).toEqual([]);
    study = STUDY;
    await availability.check();
    expect(said).toHaveLength(1);
  });
});
