import { describe, expect, it } from 'vitest';
import { type Action, decide, type Event, type ICurrent, type IState } from './decision';

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
const SHOWN = { ...OTHER, shown: true, hasRest: true };
const DROPPED = { ...SHOWN, hasDropped: true };
const GROWING = { ...OTHER, done: false };
const INVOKED_GROWING: ICurrent = { ...GROWING, trigger: 'invoke' };

const row = (name: string, state: IState, change: Partial<IState>, event: Event, action: Action) =>
  [name, { ...state, ...change }, event, action] as const;

describe('decide', () => {
  it.each([
    // A call at a position without a suggestion.
    row('typed', TYPED, {}, 'called', { kind: 'request', keep: false }),
    row('invoked', INVOKED, {}, 'called', { kind: 'request', keep: false }),
    row('typed, read-only', TYPED, { obstacle: 'read-only' }, 'called', {
      kind: 'decline',
      reason: 'read-only',
      cancel: true
    }),
    row('typed, no server', TYPED, { isOpen: false }, 'called', {
      kind: 'decline',
      reason: 'unavailable',
      cancel: true
    }),
    row('invoked, no server', INVOKED, { isOpen: false }, 'called', { kind: 'check', cancel: true }),
    row('invoked, an obstacle and no server', INVOKED, { isOpen: false, obstacle: 'off' }, 'called', {
      kind: 'decline',
      reason: 'off',
      cancel: true
    }),

    // A keystroke during a current request.
    row('typed elsewhere', TYPED, { current: OTHER }, 'called', { kind: 'request', keep: false }),
    row('typed along', TYPED, { current: SHOWN }, 'called', { kind: 'continue', trigger: 'automatic' }),
    row('typed along, an obstacle', TYPED, { current: SHOWN, obstacle: 'unfocused' }, 'called', {
      kind: 'continue',
      trigger: 'automatic'
    }),
    row('typed along, no server', TYPED, { current: SHOWN, isOpen: false }, 'called', {
      kind: 'continue',
      trigger: 'automatic'
    }),
    row('typed more than has come', TYPED, { current: GROWING }, 'called', { kind: 'request', keep: false }),
    row('typed all that has come', TYPED, { current: { ...GROWING, isUsedUp: true } }, 'called', {
      kind: 'request',
      keep: false
    }),
    row('accepted all that has come', TYPED, { current: { ...INVOKED_GROWING, isUsedUp: true } }, 'called', {
      kind: 'continue',
      trigger: 'automatic'
    }),
    row('a timer at the same position', TYPED, { current: { ...GROWING, isHere: true } }, 'called', {
      kind: 'continue',
      trigger: 'automatic'
    }),
    row('a late timer', TYPED, { current: { ...INVOKED_GROWING, isHere: true } }, 'called', {
      kind: 'continue',
      trigger: 'invoke'
    }),
    row(
      'a timer after an answer',
      TYPED,
      { current: { ...SHOWN, trigger: 'invoke', isHere: true } },
      'called',
      {
        kind: 'continue',
        trigger: 'automatic'
      }
    ),
    row('a timer where nothing was found', TYPED, { current: { ...OTHER, isHere: true } }, 'called', {
      kind: 'request',
      keep: false
    }),

    // The user's command during a current request.
    row('invoked, shown', INVOKED, { current: SHOWN }, 'called', { kind: 'request', keep: true }),
    row('invoked, shown here', INVOKED, { current: { ...SHOWN, isHere: true } }, 'called', {
      kind: 'request',
      keep: true
    }),
    row('invoked, dismissed', INVOKED, { current: { ...SHOWN, shown: false } }, 'called', {
      kind: 'request',
      keep: false
    }),
    row('invoked, all of it typed', INVOKED, { current: { ...SHOWN, hasRest: false } }, 'called', {
      kind: 'request',
      keep: false
    }),
    row('invoked after an answer', INVOKED, { current: { ...SHOWN, trigger: 'invoke' } }, 'called', {
      kind: 'request',
      keep: true
    }),
    row('invoked, another text dropped', INVOKED, { current: DROPPED }, 'called', {
      kind: 'request',
      keep: true
    }),
    row('invoked again', INVOKED, { current: { ...DROPPED, isHere: true } }, 'called', {
      kind: 'request',
      keep: false
    }),
    row('invoked during an automatic one', INVOKED, { current: { ...GROWING, isHere: true } }, 'called', {
      kind: 'request',
      keep: false
    }),
    row('invoked twice', INVOKED, { current: { ...INVOKED_GROWING, isHere: true } }, 'called', {
      kind: 'continue',
      trigger: 'invoke'
    }),
    row('invoked, typed along', INVOKED, { current: { ...INVOKED_GROWING, hasRest: true } }, 'called', {
      kind: 'continue',
      trigger: 'invoke'
    }),
    row(
      'invoked after accepted text',
      INVOKED,
      { current: { ...INVOKED_GROWING, isUsedUp: true } },
      'called',
      {
        kind: 'request',
        keep: false
      }
    ),
    row('invoked, shown, an obstacle', INVOKED, { current: SHOWN, obstacle: 'cursors' }, 'called', {
      kind: 'decline',
      reason: 'cursors',
      cancel: true
    }),
    row('invoked, shown, no server', INVOKED, { current: SHOWN, isOpen: false }, 'called', {
      kind: 'check',
      cancel: false
    }),

    // The current request has ended.
    row('nothing left', TYPED, { current: OTHER }, 'continued', { kind: 'request', keep: false }),
    row('dismissed', TYPED, { current: SHOWN }, 'continued', { kind: 'request', keep: false }),
    row('nothing left, moved on', TYPED, { current: OTHER, isOutdated: true }, 'continued', {
      kind: 'decline',
      reason: 'outdated'
    }),
    row('nothing left, no server', TYPED, { current: OTHER, isOpen: false }, 'continued', {
      kind: 'decline',
      reason: 'reported'
    }),
    row('nothing found here', TYPED, { current: { ...OTHER, isHere: true } }, 'continued', {
      kind: 'decline',
      reason: 'reported'
    }),

    // The health of the server was checked.
    row('well again', INVOKED, {}, 'checked', { kind: 'request', keep: false }),
    row('well again, shown', INVOKED, { current: SHOWN }, 'checked', { kind: 'request', keep: true }),
    row('well again, moved on', INVOKED, { isOutdated: true }, 'checked', {
      kind: 'decline',
      reason: 'outdated'
    }),
    row('not well', INVOKED, { isOpen: false }, 'checked', {
      kind: 'decline',
      reason: 'unavailable',
      cancel: true
    }),
    row('not well, shown', INVOKED, { current: SHOWN, isOpen: false }, 'checked', {
      kind: 'continue',
      trigger: 'invoke',
      reason: 'unavailable'
    }),

    // The request of the call has ended.
    row('nothing', INVOKED, { current: { ...OTHER, isHere: true } }, 'ended', {
      kind: 'decline',
      reason: 'nothing'
    }),
    row('failed', INVOKED, { current: { ...OTHER, isHere: true }, isOpen: false }, 'ended', {
      kind: 'decline',
      reason: 'unavailable'
    }),
    row('denied', INVOKED, { current: { ...OTHER, isHere: true }, obstacle: 'denied' }, 'ended', {
      kind: 'decline',
      reason: 'denied'
    }),
    row('timed out', INVOKED, { current: { ...OTHER, isHere: true }, isTimedOut: true }, 'ended', {
      kind: 'decline',
      reason: 'timeout'
    }),
    row('moved on', TYPED, { isOutdated: true, isOpen: false }, 'ended', {
      kind: 'decline',
      reason: 'outdated'
    })
  ])('%s', (_, state, event, action) => {
    expect(decide(state, event)).toEqual(action);
  });
});
