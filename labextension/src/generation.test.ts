import { describe, expect, it, vi } from 'vitest';
import type { ICompletionFrame } from './client';
import type { Decline } from './decline';
import { type Action, decide, type Event, Generation, type IOwner, type IState } from './generation';
import { requestOf } from './local/testing/request';
import type { ICurrent, IPosition, Suggestion } from './suggestion';
import type { IRequest } from './wire';

/** The user has typed at a position where nothing was requested yet, and the server can answer. */
const TYPED: IState = {
  trigger: 'automatic',
  current: null,
  obstacle: null,
  isOpen: true,
  isTimedOut: false,
  isOutdated: false
};
const INVOKED: IState = { ...TYPED, trigger: 'invoke' };

/** A complete suggestion that a keystroke requested elsewhere, and that has nothing left. */
const OTHER: ICurrent = {
  trigger: 'automatic',
  done: true,
  shown: false,
  isHere: false,
  hasRest: false,
  isUsedUp: false,
  hasDropped: false
};
const HERE = { ...OTHER, isHere: true };
const SHOWN = { ...OTHER, shown: true, hasRest: true };
const DROPPED = { ...SHOWN, hasDropped: true };
const GROWING = { ...OTHER, done: false };
const INVOKED_GROWING: ICurrent = { ...GROWING, trigger: 'invoke' };

const REQUEST: Action = { kind: 'request', keep: false };
const KEEP: Action = { kind: 'request', keep: true };
const ALONG: Action = { kind: 'continue', trigger: 'automatic' };
const AGAIN: Action = { kind: 'continue', trigger: 'invoke' };
const declined = (reason: Decline): Action => ({ kind: 'decline', reason });
const cancelled = (reason: Decline): Action => ({ ...declined(reason), cancel: true });

/** Make rows for an event: a name, the state and its changes, and the expected action. */
const rowsFor = (event: Event) => (name: string, state: IState, change: Partial<IState>, action: Action) =>
  [name, { ...state, ...change }, event, action] as const;
const EVENTS = ['called', 'continued', 'checked', 'ended'] as const;
const [called, continued, checked, ended] = EVENTS.map(rowsFor);

describe('decide', () => {
  it.each([
    // A call at a position without a suggestion.
    called('typed', TYPED, {}, REQUEST),
    called('invoked', INVOKED, {}, REQUEST),
    called('typed, read-only', TYPED, { obstacle: 'read-only' }, cancelled('read-only')),
    called('typed, no server', TYPED, { isOpen: false }, cancelled('unavailable')),
    called('invoked, no server', INVOKED, { isOpen: false }, { kind: 'check', cancel: true }),
    called(
      'invoked, an obstacle and no server',
      INVOKED,
      { isOpen: false, obstacle: 'off' },
      cancelled('off')
    ),

    // A keystroke during a current request.
    called('typed elsewhere', TYPED, { current: OTHER }, REQUEST),
    called('typed along', TYPED, { current: SHOWN }, ALONG),
    called('typed along, an obstacle', TYPED, { current: SHOWN, obstacle: 'composing' }, ALONG),
    called('typed along, no server', TYPED, { current: SHOWN, isOpen: false }, ALONG),
    called('typed more than has come', TYPED, { current: GROWING }, REQUEST),
    called('typed all that has come', TYPED, { current: { ...GROWING, isUsedUp: true } }, REQUEST),
    called('accepted all that has come', TYPED, { current: { ...INVOKED_GROWING, isUsedUp: true } }, ALONG),
    called('a timer at the same position', TYPED, { current: { ...GROWING, isHere: true } }, ALONG),
    called('a late timer', TYPED, { current: { ...INVOKED_GROWING, isHere: true } }, AGAIN),
    called(
      'a timer after an answer',
      TYPED,
      { current: { ...SHOWN, trigger: 'invoke', isHere: true } },
      ALONG
    ),
    called('a timer where nothing was found', TYPED, { current: HERE }, REQUEST),

    // The user's command during a current request.
    called('invoked, shown', INVOKED, { current: SHOWN }, KEEP),
    called('invoked, shown here', INVOKED, { current: { ...SHOWN, isHere: true } }, KEEP),
    called('invoked, dismissed', INVOKED, { current: { ...SHOWN, shown: false } }, REQUEST),
    called('invoked, all of it typed', INVOKED, { current: { ...SHOWN, hasRest: false } }, REQUEST),
    called('invoked after an answer', INVOKED, { current: { ...SHOWN, trigger: 'invoke' } }, KEEP),
    called('invoked, another text dropped', INVOKED, { current: DROPPED }, KEEP),
    called('invoked again', INVOKED, { current: { ...DROPPED, isHere: true } }, REQUEST),
    called('invoked during an automatic one', INVOKED, { current: { ...GROWING, isHere: true } }, REQUEST),
    called('invoked twice', INVOKED, { current: { ...INVOKED_GROWING, isHere: true } }, AGAIN),
    called('invoked, typed along', INVOKED, { current: { ...INVOKED_GROWING, hasRest: true } }, AGAIN),
    called(
      'invoked after accepted text',
      INVOKED,
      { current: { ...INVOKED_GROWING, isUsedUp: true } },
      REQUEST
    ),
    called(
      'invoked, shown, an obstacle',
      INVOKED,
      { current: SHOWN, obstacle: 'cursors' },
      cancelled('cursors')
    ),
    called(
      'invoked, shown, no server',
      INVOKED,
      { current: SHOWN, isOpen: false },
      { kind: 'check', cancel: false }
    ),

    // The current request has ended.
    continued('nothing left', TYPED, { current: OTHER }, REQUEST),
    continued('dismissed', TYPED, { current: SHOWN }, REQUEST),
    continued('nothing left, moved on', TYPED, { current: OTHER, isOutdated: true }, declined('outdated')),
    continued('nothing left, no server', TYPED, { current: OTHER, isOpen: false }, declined('reported')),
    continued('nothing found here', TYPED, { current: HERE }, declined('reported')),

    // The health of the server was checked.
    checked('well again', INVOKED, {}, REQUEST),
    checked('well again, shown', INVOKED, { current: SHOWN }, KEEP),
    checked('well again, moved on', INVOKED, { isOutdated: true }, declined('outdated')),
    checked('not well', INVOKED, { isOpen: false }, cancelled('unavailable')),
    checked(
      'not well, shown',
      INVOKED,
      { current: SHOWN, isOpen: false },
      { ...AGAIN, reason: 'unavailable' }
    ),

    // The request of the call has ended.
    ended('nothing', INVOKED, { current: HERE }, declined('nothing')),
    ended('failed', INVOKED, { current: HERE, isOpen: false }, declined('unavailable')),
    ended('denied', INVOKED, { current: HERE, obstacle: 'denied' }, declined('denied')),
    ended('timed out', INVOKED, { current: HERE, isTimedOut: true }, declined('timeout')),
    ended('moved on', TYPED, { isOutdated: true, isOpen: false }, declined('outdated'))
  ])('%s', (_, state, event, action) => {
    expect(decide(state, event)).toEqual(action);
  });
});

/** The cursor at the end of a text. */
const end = (text: string): IPosition => ({ text, offset: text.length });

/** A cell with its generation, and an engine that answers each request with `answer`. */
class Cell {
  /** Call for a suggestion after a text of the cell, and return it. */
  async suggest(text: string, change: Partial<IRequest> = {}, above = 'above'): Promise<Suggestion | null> {
    this.generation.cancel();
    this.text = text;
    const cells: IRequest['cells'] = [above, text].map(source => ({ id: '', type: 'code', source }));
    await this.generation.answer({
      position: end(text),
      trigger: 'automatic',
      obstacle: () => null,
      hasFocus: () => true,
      mayShow: () => true,
      body: () => requestOf('', { cells, active: 1, offset: text.length, ...change }),
      schedule: send => send(),
      declined: () => undefined
    });
    await this.generation.current?.finished();
    return this.generation.current;
  }

  /** The number of requests that were sent. */
  get sent(): number {
    return this.complete.mock.calls.length;
  }

  text = '';
  answer = '';
  readonly complete = vi.fn((_: IRequest, __: AbortSignal, frame: (frame: ICompletionFrame) => void) => {
    frame({ id: `for ${this.text}`, text: this.answer });
    return Promise.resolve();
  });
  readonly generation = new Generation<Cell>(this, {
    complete: this.complete,
    positionOf: ({ text }) => end(text),
    isOpen: () => true,
    check: () => Promise.resolve(),
    started: () => undefined,
    open: () => undefined,
    received: () => undefined,
    answered: () => undefined,
    failed: () => undefined,
    left: () => undefined
  } satisfies IOwner<Cell>);
}

/** A cell with a cached suggestion at `x = `. */
async function suggested(answer: string): Promise<Cell> {
  const cell = new Cell();
  cell.answer = answer;
  await cell.suggest('x = ');
  return cell;
}

describe('a cached suggestion', () => {
  it('is used at the same position and for text typed along it', async () => {
    const cell = await suggested('1 + 2');
    cell.answer = '2';
    await cell.suggest('x = 4');
    expect((await cell.suggest('x = ', { sequence: 9 }))?.id).toBe('for x = ');
    expect((await cell.suggest('x = 1'))?.rest(end('x = 1'))).toBe(' + 2');
    expect(cell.sent).toBe(2);
  });

  it('is used rather than a newer one that was typed along', async () => {
    const cell = new Cell();
    cell.answer = ' - 2';
    await cell.suggest('x = 1');
    cell.answer = '1 + 2';
    await cell.suggest('x = ');
    expect((await cell.suggest('x = 1'))?.id).toBe('for x = 1');
  });

  it('is shown as a new one', async () => {
    const cell = await suggested('1');
    const shown = await cell.suggest('x = ');
    Object.assign(shown ?? {}, { shown: true, shownAt: 1, reportedAs: 'for x = ' });
    cell.generation.cancel();
    expect(await cell.suggest('x = ')).toMatchObject({ shown: false, shownAt: null, reportedAs: '' });
  });

  it.each<[string, (cell: Cell) => Promise<unknown>]>([
    ['once the whole suggestion is typed', cell => cell.suggest('x = 1')],
    ['in other surroundings', cell => cell.suggest('x = ', {}, 'other')],
    ['with another setting', cell => cell.suggest('x = ', { lines: 'single' })],
    ['once it is cleared', cell => (cell.generation.forget(), cell.suggest('x = '))]
  ])('is not used %s', async (_, suggest) => {
    const cell = await suggested('1');
    await suggest(cell);
    expect(cell.sent).toBe(2);
  });
});
