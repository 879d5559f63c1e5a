import { describe, expect, it, vi } from 'vitest';
import { chooseEngine } from './engine';

const page = (marked: boolean, server: boolean) => ({
  marked,
  hasServer: vi.fn(() => Promise.resolve(server))
});

describe('which engine completes', () => {
  it('is the server where it has marked the page, and nothing is asked', async () => {
    const marked = page(true, false);
    expect(await chooseEngine('as the page has it', marked)).toBe('server');
    expect(marked.hasServer).not.toHaveBeenCalled();
  });

  it('is the server where there is one that lacks our extension', async () => {
    expect(await chooseEngine('as the page has it', page(false, true))).toBe('server');
  });

  it('is the browser where there is none, after a single request', async () => {
    const alone = page(false, false);
    expect(await chooseEngine('as the page has it', alone)).toBe('browser');
    expect(alone.hasServer).toHaveBeenCalledTimes(1);
  });

  it('is what the person wants, and nothing is asked', async () => {
    for (const wanted of ['server', 'browser'] as const) {
      const any = page(wanted === 'browser', wanted === 'browser');
      expect(await chooseEngine(wanted, any)).toBe(wanted);
      expect(any.hasServer).not.toHaveBeenCalled();
    }
  });
});
