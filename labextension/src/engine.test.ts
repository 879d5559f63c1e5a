import { describe, expect, it, vi } from 'vitest';
import { chooseEngine } from './engine';
import { NoServerError } from './trouble';

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

  it('is the browser where the person wants that, and nothing is asked', async () => {
    const any = page(true, true);
    expect(await chooseEngine('browser', any)).toBe('browser');
    expect(any.hasServer).not.toHaveBeenCalled();
  });

  it('is the server where the person wants that, if there is one', async () => {
    expect(await chooseEngine('server', page(true, false))).toBe('server');
    expect(await chooseEngine('server', page(false, true))).toBe('server');
    await expect(chooseEngine('server', page(false, false))).rejects.toThrow(NoServerError);
  });
});
