import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Backoff, delayAfter } from './backoff';

it('delayAfter doubles the delay up to a maximum', () => {
  expect([0, 1, 2, 3, 2000].map(failures => delayAfter(failures, 500, 2000))).toEqual([
    500, 1000, 2000, 2000, 2000
  ]);
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('a delay is over after its time, and the first one again after a reset', () => {
  const backoff = new Backoff(1000, 60_000);
  expect(backoff.isOver).toBe(true);
  for (const delay of [1000, 2000, 4000]) {
    backoff.failed();
    vi.advanceTimersByTime(delay - 1);
    expect(backoff.isOver).toBe(false);
    vi.advanceTimersByTime(1);
    expect(backoff.isOver).toBe(true);
  }
  backoff.reset();
  backoff.failed();
  vi.advanceTimersByTime(1000);
  expect(backoff.isOver).toBe(true);
});
