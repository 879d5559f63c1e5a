import { describe, expect, it } from 'vitest';
import { after, Availability, START } from './availability';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import type { IEngineHealth } from './client';
import type { IActivity } from './inflight';
import type { Provider } from './provider';
import {
  type Condition,
  conditionOf,
  describeStatus,
  type IStatus,
  Status,
  titleOf,
  wordsOf
} from './status';
import type { IHealth, IStep } from './wire';

const READY = { ready: true, phase: 'ready', model: 'a' } as IHealth;
const LOADING = { ready: false, phase: 'loading', model: 'a' } as IHealth;
const AT_REST = { enabled: true, snoozed: false, thinking: false };
const ready = after(START, { kind: 'health', health: READY });
const loading = after(ready, { kind: 'health', health: LOADING });
const failed = after(ready, {
  kind: 'failed',
  trouble: { kind: 'cut', message: '', retryAfter: 0 }
});

const lacking = (code: string) =>
  after(ready, { kind: 'health', health: { ...READY, ready: false, phase: 'failed', code } });

const trans = nullTranslator.load('jupyterlab');

function bench() {
  const availability = new Availability(() => Promise.resolve(READY));
  const activity = new Signal<object, IActivity>({});
  const provider = { activity, settings: { enabled: true }, snoozed: new Set<string>() };
  const status = new Status(trans, availability, provider as unknown as Provider, { path: null });
  return { status, availability, activity };
}

describe('the condition that is shown', () => {
  it.each([
    ['ready', ready, {}],
    ['thinking', ready, { thinking: true }],
    ['snoozed', ready, { snoozed: true, thinking: true }],
    ['failed', failed, { snoozed: true }],
    ['absent', lacking('model_missing'), {}],
    ['absent', lacking('withheld'), {}],
    ['failed', lacking('model_damaged'), {}],
    ['loading', loading, { snoozed: true }],
    ['off', failed, { enabled: false }],
    ['off', loading, { enabled: false }]
  ])('is %s', (condition, state, change) => {
    expect(conditionOf(state, { ...AT_REST, ...change })).toBe(condition);
  });
});

describe('the status', () => {
  it('changes when what it shows does, and not with each answer', () => {
    const { status, availability, activity } = bench();
    const told: Condition[] = [];
    status.changed.connect((_, { condition }) => told.push(condition));
    availability.told(READY);
    for (let key = 0; key < 3; key++) {
      activity.emit({ thinking: true, lastMs: null });
      availability.answered();
      activity.emit({ thinking: false, lastMs: 40 });
      availability.answered();
      activity.emit({ thinking: false, lastMs: 40 });
      status.update();
    }
    expect(told).toEqual(['ready', 'thinking', 'ready', 'thinking', 'ready', 'thinking', 'ready']);
    availability.dispose();
  });
});

describe('a model in this page', () => {
  function statusOf(health: Partial<IEngineHealth>): IStatus {
    const { status, availability } = bench();
    availability.told(health as IEngineHealth);
    availability.dispose();
    return status.current;
  }

  it.each<[Partial<IEngineHealth>, string]>([
    [{ ready: true, phase: 'ready', model: 'small' }, 'small, 6.4 MB, in this page: loaded'],
    [{ ...LOADING, model: 'small' }, 'small, 6.4 MB, in this page: loading'],
    [{ phase: 'failed', model: 'small' }, 'small, 6.4 MB, in this page: not available'],
    [
      { phase: 'empty', model: '', inPage: { size: null, step: null } },
      'A model, in this page: loads when you type'
    ]
  ])('is described with its size and its state: %#', (health, words) => {
    expect(statusOf({ inPage: { size: 6_405_408, step: null }, ...health }).model).toBe(words);
  });

  it('is no model of a server', () => {
    expect(statusOf(READY).model).toBe('a');
  });

  it.each<[IStep | null, number | null]>([
    [{ phase: 'fetching', received: 1_999_999, total: 5_000_000 }, 39],
    [{ phase: 'fetching', total: 5_000_000 }, 0],
    [{ phase: 'fetching', received: 1 }, null],
    [{ phase: 'verifying' }, null],
    [null, null]
  ])('is here as far as %j says', (step, percent) => {
    expect(statusOf({ ...LOADING, inPage: { size: 5_000_000, step } }).percent).toBe(percent);
  });
});

describe('the words', () => {
  const status: IStatus = {
    condition: 'ready',
    model: 'a',
    percent: null,
    address: '',
    study: false,
    lastMs: 40,
    reason: '',
    index: ''
  };

  it('name the host that code is sent to', () => {
    expect(describeStatus(trans, status)).toBe('Turbopilot: ready · 40 ms');
    const elsewhere = { ...status, address: 'gpu.example.org' };
    expect(describeStatus(trans, elsewhere)).toBe('Turbopilot: ready · gpu.example.org · 40 ms');
    expect(describeStatus(trans, { ...elsewhere, condition: 'off' })).toBe('Turbopilot: off');
  });

  it('say that a usage log is kept, even while nothing is suggested', () => {
    expect(describeStatus(trans, { ...status, study: true })).toBe('Turbopilot: ready · usage log · 40 ms');
    const off = { ...status, study: true, condition: 'off' as const };
    expect(describeStatus(trans, off)).toBe('Turbopilot: off · usage log');
  });

  it('say that it is kept where a long address cannot cut it off, and in the title', () => {
    const both = { ...status, study: true, address: 'gpu.example.org' };
    expect(wordsOf(trans, both)).toEqual({
      state: 'Turbopilot: ready · usage log',
      address: ' · gpu.example.org',
      time: ' · 40 ms'
    });
    expect(titleOf(trans, both)).toBe('a\nCode is sent to gpu.example.org\nStudy log enabled');
    expect(titleOf(trans, { ...status, reason: 'slow', index: '3 files' })).toBe(
      'a\nNotebook index: 3 files\nslow'
    );
  });

  it('say how much of the model is here while it is loading', () => {
    const words = (percent: number | null) =>
      describeStatus(trans, { ...status, condition: 'loading', percent });
    expect([words(40), words(null)]).toEqual(['Turbopilot: loading, 40 %', 'Turbopilot: loading']);
  });
});
