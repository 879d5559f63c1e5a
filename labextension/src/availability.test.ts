import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  after,
  Availability,
  type Event,
  FIRST_WAIT,
  LOADING,
  LONGEST,
  PATIENCE,
  servesAnother,
  START,
  STEADY
} from './availability';
import type { IHealth, Phase } from './wire';
import { AnswerError, FOREIGN, type ITrouble, ServerError } from './trouble';

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
  study: null,
  memory: null
};
const phase = (name: Phase): IHealth => ({ ...READY, ready: false, phase: name });

const troubles = fc.record({
  kind: fc.constantFrom(
    'told',
    'unreachable',
    'silent',
    'garbled',
    'cut',
    'refused',
    'absent',
    'stopped',
    'failed'
  ),
  message: fc.string(),
  retryAfter: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 * LONGEST }))
}) as fc.Arbitrary<ITrouble>;
const health = fc.constantFrom(READY, phase('empty'), phase('loading'), phase('failed'), phase('stopped'));
const events: fc.Arbitrary<Event> = fc.oneof(
  fc.constant<Event>({ kind: 'answered' }),
  fc.constant<Event>({ kind: 'restarted', trouble: null }),
  troubles.map(trouble => ({ kind: 'restarted', trouble }) as const),
  troubles.map(trouble => ({ kind: 'failed', trouble }) as const),
  troubles.map(trouble => ({ kind: 'no health', trouble }) as const),
  health.map(told => ({ kind: 'health', health: told }) as const)
);

describe('the state', () => {
  it('always checks again, soon, and within a minute whatever the server asks for', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 40 }), list => {
        const state = list.reduce(after, START);
        expect(state.wait).toBeGreaterThanOrEqual(FIRST_WAIT);
        expect(state.wait).toBeLessThanOrEqual(LONGEST);
        if (!state.open && (state.trouble?.retryAfter ?? 0) === 0) {
          expect(state.wait).toBeLessThanOrEqual(STEADY);
        }
      })
    );
  });

  it('is open after good health, and after an answer without trouble, whatever happened before', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 40 }), list => {
        const state = list.reduce(after, START);
        expect(after(state, { kind: 'health', health: READY }).open).toBe(true);
        expect(after(state, { kind: 'answered' })).toMatchObject({ open: true, trouble: null, failures: 0 });
      })
    );
  });

  it('is closed after any failure, until health is good or an answer comes', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 40 }), troubles, (list, trouble) => {
        const state = after(list.reduce(after, START), { kind: 'failed', trouble });
        expect(state.open).toBe(false);
      })
    );
  });

  it('forgets its trouble after two good checks', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 40 }), list => {
        const good: Event = { kind: 'health', health: READY };
        expect([...list, good, good].reduce(after, START)).toMatchObject({ open: true, trouble: null });
      })
    );
  });

  it('lets the first request through where a server loads its model for that one', () => {
    expect(after(START, { kind: 'health', health: phase('empty') }).open).toBe(true);
  });
});

describe('the availability of a server', () => {
  let answer: () => Promise<IHealth>;
  let checks: number;
  let visible: boolean;
  let availability: Availability;

  beforeEach(() => {
    vi.useFakeTimers();
    checks = 0;
    visible = true;
    answer = () => Promise.resolve(READY);
    availability = new Availability(
      () => {
        checks++;
        return answer();
      },
      () => visible
    );
  });

  afterEach(() => {
    availability.dispose();
    vi.useRealTimers();
  });

  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  const busy = (retryAfter = 0) => new ServerError(429, 'busy', 'Busy.', retryAfter);

  it('comes back by itself after one failure', async () => {
    await availability.check();
    availability.failed(busy());
    expect(availability.open).toBe(false);
    await pass(FIRST_WAIT);
    expect(availability.open).toBe(true);
    expect(availability.state.trouble?.kind).toBe('busy');
    availability.answered();
    expect(availability.state.trouble).toBeNull();
  });

  it('waits as long as the server asks for', async () => {
    await availability.check();
    availability.failed(busy(3000));
    await pass(2900);
    expect(availability.open).toBe(false);
    await pass(200);
    expect(availability.open).toBe(true);
  });

  it('is asked less and less while requests fail, though its health is good', async () => {
    await availability.check();
    let requests = 0;
    // Somebody who types five keys a second for a minute.
    for (let key = 0; key < 300; key++) {
      if (availability.open) {
        requests++;
        availability.failed(new ServerError(500, FOREIGN, 'no'));
      }
      await pass(200);
    }
    expect(requests).toBeGreaterThan(8);
    expect(requests).toBeLessThan(18);
  });

  it('is found again within seconds, however long it was away', async () => {
    answer = () => Promise.reject(new TypeError('Failed to fetch'));
    await availability.check();
    await pass(3600_000);
    expect(availability.open).toBe(false);
    expect(checks).toBeLessThan(3600_000 / STEADY + 10);
    answer = () => Promise.resolve(READY);
    await pass(STEADY);
    expect(availability.state).toMatchObject({ open: true, trouble: null, failures: 0 });
  });

  it('is noticed to hang, and to go on', async () => {
    await availability.check();
    answer = () => new Promise(() => undefined);
    await pass(STEADY + PATIENCE);
    expect(availability.state.trouble?.kind).toBe('silent');
    answer = () => Promise.resolve(READY);
    await pass(FIRST_WAIT + PATIENCE);
    expect(availability.open).toBe(true);
  });

  it('of another engine is not what the one before says later', async () => {
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

  it('of another engine knows nothing of the one before, also where that other one cannot be had', async () => {
    await availability.check();
    availability.restart();
    expect(availability.state).toEqual(START);
    await availability.check();
    availability.restart(new AnswerError('silent'));
    expect(availability.state).toMatchObject({ open: false, health: null, model: '', failures: 1 });
  });

  it('is followed closely while it loads', async () => {
    answer = () => Promise.resolve(phase('loading'));
    await availability.check();
    const before = checks;
    await pass(10 * LOADING);
    expect(checks - before).toBe(10);
    expect(availability.state.trouble).toBeNull();
    answer = () => Promise.resolve(READY);
    await pass(LOADING);
    expect(availability.open).toBe(true);
  });

  it('is not checked for a hidden page, and at once when the page is shown', async () => {
    answer = () => Promise.reject(new AnswerError('garbled'));
    await availability.check();
    visible = false;
    await pass(60_000);
    expect(checks).toBe(1);
    answer = () => Promise.resolve(READY);
    await availability.check();
    expect(availability.open).toBe(true);
    visible = true;
    await pass(STEADY);
    expect(checks).toBe(3);
  });

  it('is not opened by a check from before the failure', async () => {
    let tell: (health: IHealth) => void = () => undefined;
    answer = () => new Promise(resolve => (tell = resolve));
    const checking = availability.check();
    await pass(0);
    availability.failed(busy());
    tell(READY);
    await checking;
    expect(availability.open).toBe(false);
  });

  it('is checked once at a time', async () => {
    await Promise.all([availability.check(), availability.check()]);
    expect(checks).toBe(1);
  });

  it('is told by another answer that a model is loading, and then followed until it has loaded', async () => {
    await availability.check();
    let checked: (health: IHealth) => void = () => undefined;
    answer = () => new Promise(resolve => (checked = resolve));
    void availability.check();
    await pass(0);
    availability.told(phase('loading'));
    // What was asked before that says nothing about it.
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

  it('is not waited for when it goes while it loads', async () => {
    availability.told(phase('loading'));
    const loaded = availability.loaded();
    answer = () => Promise.reject(new TypeError('Failed to fetch'));
    await pass(LOADING);
    expect((await loaded).trouble?.kind).toBe('unreachable');
  });

  it('serves another when its model or its phase is another, and not while it cannot say', async () => {
    const changes: boolean[] = [];
    availability.changed.connect((_, change) => changes.push(servesAnother(change)));
    await availability.check();
    availability.answered();
    availability.told({ ...READY, model: 'b' });
    availability.told({ ...phase('failed'), model: 'b' });
    answer = () => Promise.reject(new TypeError('Failed to fetch'));
    await availability.check();
    expect(changes).toEqual([true, false, true, true, false]);
    expect(availability.state.model).toBe('b');
  });
});
