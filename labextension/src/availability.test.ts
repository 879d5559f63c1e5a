import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  after,
  Availability,
  type Event,
  FIRST_WAIT,
  followUse,
  LOADING,
  MAX_RETRY_DELAY,
  RESPONSE_TIMEOUT,
  REST,
  servesAnother,
  START,
  MAX_POLL_INTERVAL
} from './availability';
import type { IHealth, Phase } from './wire';
import { ResponseError, UNKNOWN_CODE, type IRequestError, ServerError } from './requesterror';

const READY: IHealth = {
  live: true,
  ready: true,
  phase: 'ready',
  code: null,
  model: 'a',
  reason: null,
  command: null,
  address: null,
  notice: null,
  last_ms: null,
  week: null,
  notebook_index: null,
  usage_log: null
};
const phase = (name: Phase): IHealth => ({ ...READY, ready: false, phase: name });

const errors = fc.record({
  kind: fc.constantFrom(
    'reported',
    'unreachable',
    'timeout',
    'unexpected',
    'incomplete',
    'denied',
    'missing',
    'stopped',
    'failed'
  ),
  message: fc.string(),
  retryAfter: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 * MAX_RETRY_DELAY }))
}) as fc.Arbitrary<IRequestError>;
const health = fc.constantFrom(READY, phase('empty'), phase('loading'), phase('failed'), phase('stopped'));
const events: fc.Arbitrary<Event> = fc.oneof(
  fc.constant<Event>({ kind: 'answered' }),
  fc.constant<Event>({ kind: 'restarted', error: null }),
  errors.map(error => ({ kind: 'restarted', error }) as const),
  errors.map(error => ({ kind: 'failed', error }) as const),
  errors.map(error => ({ kind: 'no health', error }) as const),
  health.map(notified => ({ kind: 'health', health: notified }) as const)
);

describe('after', () => {
  it('always schedules the next check within a minute', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 40 }), list => {
        const state = list.reduce(after, START);
        expect(state.wait).toBeGreaterThanOrEqual(FIRST_WAIT);
        expect(state.wait).toBeLessThanOrEqual(MAX_RETRY_DELAY);
        if (!state.open && (state.error?.retryAfter ?? 0) === 0) {
          expect(state.wait).toBeLessThanOrEqual(MAX_POLL_INTERVAL);
        }
      })
    );
  });

  it('opens after a successful health check and after an answered request', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 40 }), list => {
        const state = list.reduce(after, START);
        expect(after(state, { kind: 'health', health: READY }).open).toBe(true);
        expect(after(state, { kind: 'answered' })).toMatchObject({ open: true, error: null, failures: 0 });
      })
    );
  });

  it('closes after any failure until the server is healthy or answers', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 40 }), errors, (list, error) => {
        const state = after(list.reduce(after, START), { kind: 'failed', error });
        expect(state.open).toBe(false);
      })
    );
  });

  it('clears the error after two successful checks', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 40 }), list => {
        const good: Event = { kind: 'health', health: READY };
        expect([...list, good, good].reduce(after, START)).toMatchObject({ open: true, error: null });
      })
    );
  });

  it('stays open for a server that loads its model at the first request', () => {
    expect(after(START, { kind: 'health', health: phase('empty') }).open).toBe(true);
  });
});

describe('Availability', () => {
  let answer: () => Promise<IHealth>;
  let checks: number;
  let visible: boolean;
  let inUse: boolean;
  let availability: Availability;

  beforeEach(() => {
    vi.useFakeTimers();
    checks = 0;
    visible = inUse = true;
    answer = () => Promise.resolve(READY);
    availability = new Availability(
      () => {
        checks++;
        return answer();
      },
      () => visible,
      () => inUse
    );
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  const busy = (retryAfter = 0) => new ServerError(429, 'busy', 'Busy.', retryAfter);

  it('recovers by itself after one failure', async () => {
    await availability.check();
    availability.failed(busy());
    expect(availability.open).toBe(false);
    await pass(FIRST_WAIT);
    expect(availability.open).toBe(true);
    expect(availability.state.error?.kind).toBe('busy');
    availability.answered();
    expect(availability.state.error).toBeNull();
  });

  it('waits for the Retry-After delay', async () => {
    await availability.check();
    availability.failed(busy(3000));
    await pass(2900);
    expect(availability.open).toBe(false);
    await pass(200);
    expect(availability.open).toBe(true);
  });

  it('increases the delay while requests fail, although the server is healthy', async () => {
    await availability.check();
    let requests = 0;
    // The user types five keys per second for a minute.
    for (let key = 0; key < 300; key++) {
      if (availability.open) {
        requests++;
        availability.failed(new ServerError(500, UNKNOWN_CODE, 'no'));
      }
      await pass(200);
    }
    expect(requests).toBeGreaterThan(8);
    expect(requests).toBeLessThan(18);
  });

  it('recovers within seconds after any outage', async () => {
    answer = () => Promise.reject(new TypeError('Failed to fetch'));
    await availability.check();
    await pass(3600_000);
    expect(availability.open).toBe(false);
    expect(checks).toBeLessThan(3600_000 / MAX_POLL_INTERVAL + 10);
    answer = () => Promise.resolve(READY);
    await pass(MAX_POLL_INTERVAL);
    expect(availability.state).toMatchObject({ open: true, error: null, failures: 0 });
  });

  it('detects that the server hangs and that it responds again', async () => {
    await availability.check();
    answer = () => new Promise(() => undefined);
    await pass(MAX_POLL_INTERVAL + RESPONSE_TIMEOUT);
    expect(availability.state.error?.kind).toBe('timeout');
    answer = () => Promise.resolve(READY);
    await pass(FIRST_WAIT + RESPONSE_TIMEOUT);
    expect(availability.open).toBe(true);
  });

  it('ignores late responses of the previous engine', async () => {
    let late: (health: IHealth) => void = () => undefined;
    answer = () => new Promise(resolve => (late = resolve));
    const before = availability.check();
    await pass(0);
    answer = () => Promise.resolve({ ...READY, model: 'b' });
    availability.restart();
    await availability.check();
    late(phase('failed'));
    await before;
    expect(availability.state).toMatchObject({ open: true, model: 'b' });
  });

  it('resets its state for another engine, even if that engine is not available', async () => {
    await availability.check();
    availability.restart();
    expect(availability.state).toEqual(START);
    await availability.check();
    availability.restart(new ResponseError('timeout'));
    expect(availability.state).toMatchObject({ open: false, health: null, model: '', failures: 1 });
  });

  it('checks often while the model is loading', async () => {
    answer = () => Promise.resolve(phase('loading'));
    await availability.check();
    const before = checks;
    await pass(10 * LOADING);
    expect(checks - before).toBe(10);
    expect(availability.state.error).toBeNull();
    answer = () => Promise.resolve(READY);
    await pass(LOADING);
    expect(availability.open).toBe(true);
  });

  it('does not check in a hidden page, and checks when the page becomes visible', async () => {
    answer = () => Promise.reject(new ResponseError('unexpected'));
    await availability.check();
    visible = false;
    await pass(60_000);
    expect(checks).toBe(1);
    answer = () => Promise.resolve(READY);
    await availability.check();
    expect(availability.open).toBe(true);
    visible = true;
    await pass(MAX_POLL_INTERVAL);
    expect(checks).toBe(3);
  });

  it('does not check a server that can answer while the page is at rest', async () => {
    await availability.check();
    inUse = false;
    await pass(60_000);
    expect(checks).toBe(1);
  });

  it('checks at rest until the server can answer', async () => {
    inUse = false;
    answer = () => Promise.resolve(phase('loading'));
    await availability.check();
    await pass(LOADING);
    expect(checks).toBe(2);
    answer = () => Promise.resolve(READY);
    await pass(60_000);
    expect(checks).toBe(3);
  });

  it('ignores a check that began before the failure', async () => {
    let tell: (health: IHealth) => void = () => undefined;
    answer = () => new Promise(resolve => (tell = resolve));
    const checking = availability.check();
    await pass(0);
    availability.failed(busy());
    tell(READY);
    await checking;
    expect(availability.open).toBe(false);
  });

  it('runs one check at a time', async () => {
    await Promise.all([availability.check(), availability.check()]);
    expect(checks).toBe(1);
  });

  it('accepts health from another response and waits until the model is loaded', async () => {
    await availability.check();
    let checked: (health: IHealth) => void = () => undefined;
    answer = () => new Promise(resolve => (checked = resolve));
    void availability.check();
    await pass(0);
    availability.reported(phase('loading'));
    // The response to an earlier check does not report it.
    checked(READY);
    let model = '';
    void availability.loaded().then(state => (model = state.model));
    answer = () => Promise.resolve(phase('loading'));
    await pass(3 * LOADING);
    expect([availability.open, model]).toEqual([false, '']);
    answer = () => Promise.resolve({ ...READY, model: 'b' });
    await pass(LOADING);
    expect([availability.open, model]).toEqual([true, 'b']);
  });

  it('stops waiting if the server fails while loading', async () => {
    availability.reported(phase('loading'));
    const loaded = availability.loaded();
    answer = () => Promise.reject(new TypeError('Failed to fetch'));
    await pass(LOADING);
    expect((await loaded).error?.kind).toBe('unreachable');
  });

  it('servesAnother reports another model or phase, but not a failed check', async () => {
    const changes: boolean[] = [];
    availability.changed.connect((_, change) => changes.push(servesAnother(change)));
    await availability.check();
    availability.answered();
    availability.reported({ ...READY, model: 'b' });
    availability.reported({ ...phase('failed'), model: 'b' });
    answer = () => Promise.reject(new TypeError('Failed to fetch'));
    await availability.check();
    expect(changes).toEqual([true, false, true, true, false]);
    expect(availability.state.model).toBe('b');
  });
});

describe('followUse', () => {
  it('calls back when the user returns after a rest', () => {
    vi.useFakeTimers();
    const page = new EventTarget();
    const returned = vi.fn();
    const isInUse = followUse(page, returned);
    vi.advanceTimersByTime(REST - 1);
    page.dispatchEvent(new Event('keydown'));
    expect(returned).not.toHaveBeenCalled();
    vi.advanceTimersByTime(REST);
    expect(isInUse()).toBe(false);
    page.dispatchEvent(new Event('pointermove'));
    expect(isInUse()).toBe(true);
    expect(returned).toHaveBeenCalledOnce();
    vi.useRealTimers();
  });
});
