import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FLUENT, Pace } from './pace';

const measured = (read: number, written: number) => ({
  prompt_n: 32,
  prompt_ms: 32000 / read,
  predicted_n: 9,
  predicted_ms: 8000 / written
});

describe('the pace of a model', () => {
  it('is taken for slow until it was measured', () => {
    const pace = new Pace();
    expect(pace.onDemand).toBe(true);
    expect(pace.contextSize).toBe(512);
  });

  it('lets it be asked at each key where it writes fast enough', () => {
    const pace = new Pace();
    pace.note(measured(100, FLUENT + 1));
    expect(pace.onDemand).toBe(false);
    pace.note(measured(100, FLUENT - 1));
    expect(pace.onDemand).toBe(true);
  });

  it('gives it no more to read than somebody waits for', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 1e4, noNaN: true }), read => {
        const pace = new Pace();
        pace.note(measured(read, 10));
        expect(pace.contextSize).toBeGreaterThanOrEqual(512);
        expect(pace.contextSize).toBeLessThanOrEqual(4096);
        const seconds = (pace.contextSize - 448) / 3 / read;
        expect(seconds <= 8.1 || pace.contextSize === 512).toBe(true);
      })
    );
  });

  it('is not told by a few tokens', () => {
    const pace = new Pace();
    pace.note(measured(1000, 100));
    pace.note({ prompt_n: 1, prompt_ms: 1e6, predicted_n: 1, predicted_ms: 1e6 });
    expect(pace.contextSize).toBe(4096);
    expect(pace.onDemand).toBe(false);
  });
});
