import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { after, Availability, START } from './availability';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import type { IEngineHealth } from './client';
import { Offers } from './fixes/offers';
import type { IActivity } from './status';
import type { Page } from './page';
import type { Provider } from './provider';
import {
  type Condition,
  conditionOf,
  describeStatus,
  displaySteadily,
  type IStatus,
  PAUSE,
  Status,
  tooltipOf,
  labelOf
} from './status';
import type { IHealth, IProgress } from './wire';

const READY = { ready: true, phase: 'ready', model: 'a' } as IHealth;
const LOADING = { ready: false, phase: 'loading', model: 'a' } as IHealth;
const AT_REST = { generating: false, isTimedOut: false };
const ready = after(START, { kind: 'health', health: READY });
const loading = after(ready, { kind: 'health', health: LOADING });
const failed = after(ready, {
  kind: 'failed',
  error: { kind: 'incomplete', message: '', retryAfter: 0 }
});

const refused = after(ready, {
  kind: 'failed',
  error: { kind: 'busy', message: 'Busy.', retryAfter: 5000 }
});
const limited = after(ready, {
  kind: 'failed',
  error: { kind: 'limited', message: 'Too many requests.', retryAfter: 5000 }
});
const inPage = after(ready, {
  kind: 'health',
  health: { ...READY, inPage: { size: null, step: null } }
});
const crowded = after(ready, { kind: 'health', health: { ...READY, busy: true } });

const lacking = (code: string) =>
  after(ready, { kind: 'health', health: { ...READY, ready: false, phase: 'failed', code } });

const trans = nullTranslator.load('jupyterlab');

function bench() {
  const availability = new Availability(() => Promise.resolve(READY));
  const activity = new Signal<object, IActivity>({});
  const provider = {
    activity,
    settings: { enabled: true, notebookIndex: true },
    stopped: false,
    paused: new Set<string>(),
    denied: new Map<string, unknown>()
  };
  const page = { path: null as string | null, notebook: null, notebookView: {} };
  const offers = Object.assign(new Offers(), { countFixes: () => 0 });
  const status = new Status(
    trans,
    availability,
    provider as unknown as Provider,
    page as unknown as Page,
    offers,
    () => 'Alt+.'
  );
  return { status, availability, activity, provider, page, offers };
}

describe('conditionOf', () => {
  it.each([
    ['ready', ready, null, {}],
    ['generating', ready, null, { generating: true }],
    ['paused', ready, 'paused', { generating: true }],
    ['failed', failed, 'paused', {}],
    ['busy', refused, null, {}],
    ['failed', limited, null, {}],
    ['busy', crowded, null, {}],
    ['busy', ready, null, { isTimedOut: true }],
    ['ready', inPage, null, { isTimedOut: true }],
    ['generating', crowded, null, { generating: true }],
    ['paused', crowded, 'paused', {}],
    ['off', refused, 'off', {}],
    ['absent', lacking('model_missing'), null, {}],
    ['absent', lacking('withheld'), null, {}],
    ['failed', lacking('model_damaged'), null, {}],
    ['loading', loading, 'paused', {}],
    ['denied', lacking('disabled'), 'off', {}],
    ['denied', failed, 'denied', {}],
    ['disabled in notebook', loading, 'disabled in notebook', {}],
    ['stopped', ready, 'stopped', {}],
    ['off', failed, 'off', {}],
    ['off', loading, 'off', {}]
  ] as const)('returns %s', (condition, state, off, activity) => {
    expect(conditionOf(state, off, { ...AT_REST, ...activity })).toBe(condition);
  });
});

describe('Status', () => {
  it('shows the reason why the administrator does not allow suggestions in a document', () => {
    const { status, provider, page } = bench();
    provider.denied.set('exam.ipynb', { kernel: null, message: 'Off in this folder.', at: 0 });
    expect(status.current.reason).toBe('');
    page.path = 'exam.ipynb';
    expect(status.current.reason).toBe('Off in this folder.');
  });

  it.each([
    ['unsure', /not confident/],
    ['short', /too short/],
    ['invalid', /does not fit/],
    ['unknown_name', /does not exist/],
    ['nothing', /no text/],
    ['language', /this language/],
    ['cursors', /single cursor/]
  ] as const)('shows why the last automatic request has no suggestion: %s', (hiddenReason, message) => {
    const { status, availability, activity } = bench();
    availability.reported(READY);
    activity.emit({ generating: false, lastMs: 40, isTimedOut: false, hiddenReason });
    expect(status.current.reason).toMatch(message);
    activity.emit({ generating: true, lastMs: 40, isTimedOut: false, hiddenReason: null });
    expect(status.current.reason).toBe('');
  });

  it.each([
    [1, 'Turbopilot: 1 fix: Alt+.'],
    [2, 'Turbopilot: 2 fixes: Alt+.'],
    [0, 'Turbopilot: ready · 40 ms']
  ])('shows the number of fixes and their shortcut instead of the state: %d', (count, label) => {
    const { status, availability, activity, offers } = bench();
    availability.reported(READY);
    activity.emit({ generating: false, lastMs: 40, isTimedOut: false, hiddenReason: null });
    const shown: string[] = [];
    status.changed.connect((_, now) => shown.push(describeStatus(trans, now)));
    offers.countFixes = () => count;
    offers.changed.emit();
    expect(shown).toEqual(count ? [label] : []);
    expect(describeStatus(trans, status.current)).toBe(label);
  });

  it('shows which table has the column that the last suggestion names', () => {
    const { status, availability, activity } = bench();
    availability.reported(READY);
    const idle = { generating: false, lastMs: 40, isTimedOut: false, hiddenReason: null };
    activity.emit({ ...idle, table: 'orders' });
    expect(tooltipOf(trans, status.current)).toContain('column of orders');
    activity.emit(idle);
    expect(tooltipOf(trans, status.current)).not.toContain('column');
  });

  it('shows no reason of an earlier request while suggestions are off or on demand', () => {
    const { status, availability, activity, provider, page } = bench();
    availability.reported({ ...READY, slow: 'This machine is slow.' });
    page.path = 'a.ipynb';
    activity.emit({ generating: false, lastMs: 40, isTimedOut: true, hiddenReason: 'unsure' });
    const switches: [object, object][] = [
      [provider.settings, { enabled: false }],
      [provider, { stopped: true }],
      [provider, { paused: new Set(['a.ipynb']) }],
      [page, { notebook: { getMetadata: () => ({ enabled: false }) } }]
    ];
    for (const [target, change] of switches) {
      const before = { ...target };
      Object.assign(target, change);
      expect(status.current.reason).toBe('');
      Object.assign(target, before);
      expect(status.current.reason).not.toBe('');
    }
    activity.emit({ generating: false, lastMs: 40, isTimedOut: false, hiddenReason: 'unsure' });
    Object.assign(provider.settings, { mode: 'on demand' });
    expect(status.current.reason).toBe('This machine is slow.');
  });

  it('names the other switches that are off', () => {
    const { status, availability, provider, page } = bench();
    availability.reported(READY);
    page.path = 'exam.ipynb';
    page.notebook = { getMetadata: () => ({ enabled: false }) };
    provider.stopped = true;
    expect(describeStatus(trans, status.current)).toBe('Turbopilot: off (until reload)');
    expect(status.current.reason).toBe('Suggestions are off in this notebook.');
    provider.denied.set('exam.ipynb', { kernel: null, message: 'Not in exams.', at: 0 });
    expect(status.current.reason).toBe('Not in exams.\nSuggestions are off in this notebook.');
  });

  it('emits changed only if the shown status changes', () => {
    const { status, availability, activity } = bench();
    const notified: Condition[] = [];
    status.changed.connect((_, { condition }) => notified.push(condition));
    availability.reported(READY);
    for (let key = 0; key < 3; key++) {
      activity.emit({ generating: true, lastMs: null, isTimedOut: false, hiddenReason: null });
      availability.answered();
      activity.emit({ generating: false, lastMs: 40, isTimedOut: false, hiddenReason: null });
      availability.answered();
      activity.emit({ generating: false, lastMs: 40, isTimedOut: false, hiddenReason: null });
      status.update();
    }
    expect(notified).toEqual(['ready', 'generating', 'ready', 'generating', 'ready', 'generating', 'ready']);
  });
});

describe('the tooltip', () => {
  it.each([
    ['a slow machine', { slow: 'b fits it better than a.' }, false, 'ready', 'b fits it better'],
    ['many users', { busy: true }, false, 'busy', 'Many users are active.'],
    ['a timeout', {}, true, 'busy', 'No suggestion within the time limit']
  ])('explains %s', (_, health, isTimedOut, condition, text) => {
    const { status, availability, activity } = bench();
    availability.reported({ ...READY, ...health });
    activity.emit({ ...AT_REST, lastMs: null, isTimedOut, hiddenReason: null });
    expect(describeStatus(trans, status.current)).toBe(`Turbopilot: ${condition}`);
    expect(tooltipOf(trans, status.current)).toContain(text);
  });

  it('says that the index is not used and that the metadata of the notebook are invalid', () => {
    const { status, availability, provider, page } = bench();
    const index = { building: false, files: 3, found: 3, paused: null, root: '', path: '', error: null };
    availability.reported({ ...READY, notebook_index: index });
    expect(tooltipOf(trans, status.current)).toBe('a\nNotebook index: 3 files');
    provider.settings.notebookIndex = false;
    page.notebook = { getMetadata: () => ({ enabled: 'no' }) };
    const [, indexed, reason] = tooltipOf(trans, status.current).split('\n');
    expect(indexed).toBe('Notebook index: not used');
    expect(reason).toContain('must be true or false');
  });
});

describe('the status of a browser model', () => {
  function statusOf(health: Partial<IEngineHealth>): IStatus {
    const { status, availability } = bench();
    availability.reported(health as IEngineHealth);
    return status.current;
  }

  it.each<[Partial<IEngineHealth>, string]>([
    [{ ready: true, phase: 'ready', model: 'small' }, 'small, 6.4 MB, in this page: loaded'],
    [{ ...LOADING, model: 'small' }, 'small, 6.4 MB, in this page: loading'],
    [{ phase: 'failed', model: 'small' }, 'small, 6.4 MB, in this page: error'],
    [
      { phase: 'empty', model: '', inPage: { size: null, step: null } },
      'A model, in this page: loads when you type'
    ]
  ])('has the size and the state of the model: %#', (health, words) => {
    expect(statusOf({ inPage: { size: 6_405_408, step: null }, ...health }).model).toBe(words);
  });

  it('has only the name of a server’s model', () => {
    expect(statusOf(READY).model).toBe('a');
  });

  it.each<[IProgress | null, number | null]>([
    [{ phase: 'downloading', received: 1_999_999, total: 5_000_000 }, 39],
    [{ phase: 'downloading', total: 5_000_000 }, 0],
    [{ phase: 'downloading', received: 1 }, null],
    [{ phase: 'verifying' }, null],
    [null, null]
  ])('has the percentage of the step %j', (step, percent) => {
    expect(statusOf({ ...LOADING, inPage: { size: 5_000_000, step } }).percent).toBe(percent);
  });
});

const status: IStatus = {
  condition: 'ready',
  model: 'a',
  percent: null,
  address: '',
  usageLog: false,
  lastMs: 40,
  fixes: '',
  reason: '',
  index: ''
};

describe('the display of the status', () => {
  function bench() {
    const shown: string[] = [];
    const display = displaySteadily(trans, now => shown.push(describeStatus(trans, now)));
    return { display: (change: Partial<IStatus>) => display({ ...status, ...change }), shown };
  }

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('shows the activity when the user pauses', () => {
    const { display, shown } = bench();
    display({});
    for (let key = 1; key <= 5; key++) {
      display({ condition: 'generating' });
      vi.advanceTimersByTime(100);
      display({ lastMs: key });
      vi.advanceTimersByTime(100);
    }
    expect(shown).toEqual(['Turbopilot: ready · 40 ms']);
    vi.advanceTimersByTime(PAUSE);
    expect(shown.slice(1)).toEqual(['Turbopilot: ready · 5 ms']);
  });

  it('shows another model at once', () => {
    const shown: string[] = [];
    const display = displaySteadily(trans, now => shown.push(now.model));
    display({ ...status, model: 'shapes' });
    display({ ...status, model: 'rectangles' });
    expect(shown).toEqual(['shapes', 'rectangles']);
  });

  it('shows a long generation until the next pause', () => {
    const { display, shown } = bench();
    display({});
    display({ condition: 'generating' });
    vi.advanceTimersByTime(PAUSE);
    for (let key = 0; key < 3; key++) {
      display({ lastMs: 3000 });
      vi.advanceTimersByTime(100);
      display({ condition: 'generating', lastMs: 3000 });
    }
    display({ lastMs: 3000 });
    vi.advanceTimersByTime(PAUSE);
    expect(shown.slice(1)).toEqual(['Turbopilot: generating', 'Turbopilot: ready · 3.0 s']);
  });

  it.each<[Partial<IStatus>, string]>([
    [{ condition: 'off' }, 'Turbopilot: off'],
    [{ condition: 'failed' }, 'Turbopilot: error'],
    [{ fixes: '1 fix' }, 'Turbopilot: 1 fix'],
    [{ condition: 'generating', fixes: '1 fix' }, 'Turbopilot: 1 fix']
  ])('shows everything else at once: %j', (change, words) => {
    const { display, shown } = bench();
    display({});
    display({ condition: 'generating' });
    display(change);
    vi.advanceTimersByTime(PAUSE);
    expect(shown.slice(1)).toEqual([words]);
  });
});

describe('the texts of the status', () => {
  it.each([
    [0.4, '< 1 ms'],
    [40.4, '40 ms'],
    [1240, '1.2 s']
  ])('contain the time of the last suggestion: %d ms', (lastMs, time) => {
    expect(labelOf(trans, { ...status, lastMs }).time).toBe(` · ${time}`);
  });

  it('contain the host that code is sent to', () => {
    expect(describeStatus(trans, status)).toBe('Turbopilot: ready · 40 ms');
    const elsewhere = { ...status, address: 'gpu.example.org' };
    expect(describeStatus(trans, elsewhere)).toBe('Turbopilot: ready · gpu.example.org · 40 ms');
    expect(describeStatus(trans, { ...elsewhere, condition: 'off' })).toBe('Turbopilot: off');
  });

  it('contain the usage log, even while suggestions are off', () => {
    expect(describeStatus(trans, { ...status, usageLog: true })).toBe(
      'Turbopilot: ready · usage log · 40 ms'
    );
    const off = { ...status, usageLog: true, condition: 'off' as const };
    expect(describeStatus(trans, off)).toBe('Turbopilot: off · usage log');
  });

  it('contain the usage log before the host, and in the tooltip', () => {
    const both = { ...status, usageLog: true, address: 'gpu.example.org' };
    expect(labelOf(trans, both)).toEqual({
      name: 'Turbopilot: ',
      state: 'ready · usage log',
      address: ' · gpu.example.org',
      time: ' · 40 ms'
    });
    expect(tooltipOf(trans, both)).toBe(
      'a\nCode is sent to gpu.example.org.\nUsage log: on\nTime to the last suggestion: 40 ms'
    );
    expect(tooltipOf(trans, { ...status, reason: 'slow', index: '3 files' })).toBe(
      'a\nNotebook index: 3 files\nTime to the last suggestion: 40 ms\nslow'
    );
    expect(tooltipOf(trans, { ...status, condition: 'generating' })).toBe('a');
  });

  it('contain the percentage while the model is loading', () => {
    const words = (percent: number | null) =>
      describeStatus(trans, { ...status, condition: 'loading', percent });
    expect([words(40), words(null)]).toEqual(['Turbopilot: loading, 40 %', 'Turbopilot: loading']);
  });
});
