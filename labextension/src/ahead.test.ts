import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Ahead, afterAccepting } from './ahead';
import type { ICompletionClient } from './client';
import { requestOf } from './local/testing/request';
import type { IRequest } from './wire';

const request = (source: string, offset: number): IRequest =>
  requestOf('', {
    cells: [
      { id: '0', type: 'code', source: 'above', executed: true },
      { id: '1', type: 'code', source, executed: null }
    ],
    active: 1,
    offset
  });

describe('afterAccepting', () => {
  it('puts the text at the cursor and the cursor behind it, whatever the characters', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 });
    fc.assert(
      fc.property(text, text, text, (before, taken, after) => {
        const offset = [...before].length;
        const next = afterAccepting(request(before + after, offset), taken);
        expect(next.cells[1].source).toBe(before + taken + after);
        expect(next.offset).toBe(offset + [...taken].length);
        expect(next.cells[0].source).toBe('above');
        expect([next.trigger, next.stream]).toEqual(['ahead', false]);
      })
    );
  });

  it('puts its imports further up, as taking it does', () => {
    const next = afterAccepting(request('%%time\nx = ', 11), 'np.pi', ['import numpy as np']);
    expect(next.cells[1].source).toBe('%%time\nimport numpy as np\nx = np.pi');
    expect(next.offset).toBe(next.cells[1].source.length);
  });

  it('counts the characters of imports as the server does', () => {
    const next = afterAccepting(request('', 0), '𝛼.x', ['import a as 𝛼']);
    expect(next.cells[1].source).toBe('import a as 𝛼\n𝛼.x');
    expect(next.offset).toBe([...next.cells[1].source].length);
  });

  it('puts none in where the top of the cell is not above the cursor', () => {
    const next = afterAccepting(request('%%timeit ', 9), 'np.pi', ['import numpy as np']);
    expect([next.cells[1].source, next.offset]).toEqual(['%%timeit np.pi', 14]);
  });
});

describe('Ahead', () => {
  const sent: { body: IRequest; signal: AbortSignal }[] = [];
  const client = {
    alternatives: (body: IRequest, signal: AbortSignal) => {
      sent.push({ body, signal });
      return new Promise(() => undefined);
    }
  } as unknown as ICompletionClient;

  beforeEach(() => {
    vi.useFakeTimers();
    sent.length = 0;
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('reads only the cell at which the person stays', () => {
    const ahead = new Ahead(client);
    ahead.warm(() => request('passed', 0));
    vi.advanceTimersByTime(50);
    ahead.warm(() => request('stayed', 0));
    vi.advanceTimersByTime(500);
    expect(sent.map(one => [one.body.trigger, one.body.cells[1].source])).toEqual([['warm', 'stayed']]);
  });

  it('leaves what it began to the server when somebody asks', () => {
    const ahead = new Ahead(client);
    ahead.follow(request('x = ', 4), { text: '1', needs: [] });
    ahead.warm(() => request('x', 1));
    ahead.yield();
    vi.advanceTimersByTime(500);
    expect(sent.map(one => one.signal.aborted)).toEqual([false]);
  });
});
