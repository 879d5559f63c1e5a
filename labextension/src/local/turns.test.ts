import { describe, expect, it } from 'vitest';
import { Turns } from './turns';

const { signal } = new AbortController();

describe('a turn', () => {
  it('begins when the one before it has left', async () => {
    const turns = new Turns();
    const first = turns.enter('a', true, signal);
    const second = turns.enter('b', true, signal);
    await first.free;
    let begun = false;
    const waiting = second.free.then(() => (begun = true));
    await Promise.resolve();
    expect(begun).toBe(false);
    first.leave();
    await waiting;
    expect([first.ended, second.ended]).toEqual([null, null]);
  });

  it('of an editor ends its older one', () => {
    const turns = new Turns();
    const [older, other] = [turns.enter('a', true, signal), turns.enter('b', true, signal)];
    const newer = turns.enter('a', true, signal);
    expect([older.ended, older.signal.aborted]).toEqual(['superseded', true]);
    expect([other.ended, newer.ended]).toEqual([null, null]);
  });

  it('that nobody waits for yields to everybody', () => {
    const turns = new Turns();
    const warm = turns.enter('a', false, signal);
    expect(warm.ended).toBeNull();
    const typed = turns.enter('b', true, signal);
    expect(warm.ended).toBe('yielded');
    expect(turns.enter('a', false, signal).ended).toBe('yielded');
    expect(typed.ended).toBeNull();
  });

  it('ends with the signal of whoever asked', () => {
    const stop = new AbortController();
    const turn = new Turns().enter('a', true, stop.signal);
    stop.abort();
    expect([turn.signal.aborted, turn.ended]).toEqual([true, null]);
  });

  it('that was left early lets nobody pass whoever is before it', async () => {
    const turns = new Turns();
    const first = turns.enter('a', true, signal);
    turns.enter('b', true, signal).leave();
    let begun = false;
    const waiting = turns.enter('c', true, signal).free.then(() => (begun = true));
    await new Promise(resolve => setTimeout(resolve));
    expect(begun).toBe(false);
    first.leave();
    await waiting;
  });
});
