import { describe, expect, it, vi } from 'vitest';
import { ChosenClient } from './chosenclient';
import type { IClient } from './client';
import type { IFeedback, IHealth } from './wire';

const FEEDBACK: IFeedback = { id: 'id', event: 'shown', chars: 3, length: 3, before: 0, seconds: 1 };

function named(model: string): IClient {
  return {
    health: () => Promise.resolve({ model } as IHealth)
  } as unknown as IClient;
}

describe('the client that was chosen', () => {
  it('answers who asked before the choice, and then the one that is in use', async () => {
    const chosen = new ChosenClient();
    const early = chosen.health();
    chosen.use(named('a'));
    expect((await early).model).toBe('a');
    chosen.use(named('b'));
    expect((await chosen.health()).model).toBe('b');
  });

  it('passes on everything that it was given', async () => {
    const chosen = new ChosenClient();
    const complete = vi.fn(() => Promise.resolve());
    const feedback = vi.fn();
    chosen.use({ ...named('a'), complete, feedback });
    const { signal } = new AbortController();
    const frame = (): void => undefined;
    await chosen.complete({} as never, signal, frame);
    expect(complete).toHaveBeenCalledWith({}, signal, frame);
    chosen.feedback(FEEDBACK);
    await Promise.resolve();
    expect(feedback).toHaveBeenCalledWith(FEEDBACK);
  });
});
