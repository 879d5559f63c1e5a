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
  START,
  STEADY
} from './availability';
import type { IHealth } from './wire';
import { AnswerError, FOREIGN, type ITrouble, ServerError } from './trouble';

const READY: IHealth = {
  live: true,
  ready: true,
  phase: 'ready',
  code: null,
  model: 'a',
  reason: null,
  notice: null,
  last_ms: null
};
const phase = (name: string): IHealth => ({ ...READY, ready: false, phase: name });

const troubles = fc.record({
  kind: fc.constantFrom('told', 'unreachable', 'silent', 'garbled', 'cut', 'refused', 'absent', 'failed'),
  message: fc.string(),
  retryAfter: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 * LONGEST }))
}) as fc.Arbitrary<ITrouble>;
const health = fc.constantFrom(READY, phase('empty'), phase('loading'), phase('failed'), phase('stopped'));
const events: fc.Arbitrary<Event> = fc.oneof(
  fc.constant<Event>({ kind: 'answered' }),
  troubles.map(trouble => ({ kind: 'failed', trouble }) as const),
  troubles.map(trouble => ({ kind: 'no health', trouble }) as const),
  health.map(found => ({ kind: 'health', health: found }) as const)
);

describe('the state', () => {
  it('always looks again, soon, and within a minute whatever the server asks for', () => {
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

  it('forgets its trouble after two good looks', () => {
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
  let looks: number;
  let visible: boolean;
  let availability: Availability;

  beforeEach(() => {
    vi.useFakeTimers();
    looks = 0;
    visible = true;
    answer = () => Promise.resolve(READY);
    availability = new Availability(
      () => {
        looks++;
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
    await availability.look();
    availability.failed(busy());
    expect(availability.open).toBe(false);
    await pass(FIRST_WAIT);
    expect(availability.open).toBe(true);
    expect(availability.state.trouble?.kind).toBe('told');
    availability.answered();
    expect(availability.state.trouble).toBeNull();
  });

  it('waits as long as the server asks for', async () => {
    await availability.look();
    availability.failed(busy(3000));
    await pass(2900);
    expect(availability.open).toBe(false);
    await pass(200);
    expect(availability.open).toBe(true);
  });

  it('is asked less and less while requests fail, though its health is good', async () => {
    await availability.look();
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
    await availability.look();
    await pass(3600_000);
    expect(availability.open).toBe(false);
    expect(looks).toBeLessThan(3600_000 / STEADY + 10);
    answer = () => Promise.resolve(READY);
    await pass(STEADY);
    expect(availability.state).toMatchObject({ open: true, trouble: null, failures: 0 });
  });

  it('is noticed to hang, and to go on', async () => {
    await availability.look();
    answer = () => new Promise(() => undefined);
    await pass(STEADY + PATIENCE);
    expect(availability.state.trouble?.kind).toBe('silent');
    answer = () => Promise.resolve(READY);
    await pass(FIRST_WAIT + PATIENCE);
    expect(availability.open).toBe(true);
  });

  it('is noticed to have gone while nobody types', async () => {
    await availability.look();
    answer = () => Promise.reject(new TypeError('Failed to fetch'));
    await pass(STEADY);
    expect(availability.open).toBe(false);
  });

  it('is followed closely while it loads', async () => {
    answer = () => Promise.resolve(phase('loading'));
    await availability.look();
    const before = looks;
    await pass(10 * LOADING);
    expect(looks - before).toBe(10);
    expect(availability.state.trouble).toBeNull();
    answer = () => Promise.resolve(READY);
    await pass(LOADING);
    expect(availability.open).toBe(true);
  });

  it('is not looked at for a hidden page, and at once when the page is shown', async () => {
    answer = () => Promise.reject(new AnswerError('garbled'));
    await availability.look();
    visible = false;
    await pass(60_000);
    expect(looks).toBe(1);
    answer = () => Promise.resolve(READY);
    await availability.look();
    expect(availability.open).toBe(true);
    visible = true;
    await pass(STEADY);
    expect(looks).toBe(3);
  });

  it('is not opened by a look from before the failure', async () => {
    let tell: (found: IHealth) => void = () => undefined;
    answer = () => new Promise(resolve => (tell = resolve));
    const looking = availability.look();
    await pass(0);
    availability.failed(busy());
    tell(READY);
    await looking;
    expect(availability.open).toBe(false);
  });

  it('is looked at once at a time', async () => {
    await Promise.all([availability.look(), availability.look()]);
    expect(looks).toBe(1);
  });

  it('says what changed', async () => {
    const said: boolean[] = [];
    availability.changed.connect((_, { before, now }) => said.push(before.open, now.open));
    availability.failed(busy());
    await pass(FIRST_WAIT);
    expect(said).toEqual([true, false, false, true]);
  });
});
