import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnswerError, FOREIGN, readRetryAfter, ServerError, troubleOf } from './trouble';

describe('Retry-After', () => {
  it('is read as seconds or as a date, and never as less than nothing', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(readRetryAfter('3', now)).toBe(3000);
    expect(readRetryAfter('Thu, 01 Jan 2026 00:00:07 GMT', now)).toBe(7000);
    expect(readRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0);
    expect(readRetryAfter(null, now)).toBe(0);
    fc.assert(
      fc.property(fc.string(), text => {
        const ms = readRetryAfter(text, now);
        expect(Number.isFinite(ms) && ms >= 0).toBe(true);
      })
    );
  });
});

describe('a trouble', () => {
  it('has a kind for any thrown value', () => {
    fc.assert(
      fc.property(fc.anything(), thrown => {
        expect(troubleOf(thrown).kind).toBe('unreachable');
      })
    );
    expect(troubleOf(new AnswerError('cut')).kind).toBe('cut');
  });

  it('contains the message of a Turbopilot server, but of no other server', () => {
    expect(troubleOf(new ServerError(503, 'model_missing', 'Fetch it.', 1000))).toEqual({
      kind: 'told',
      message: 'Fetch it.',
      retryAfter: 1000
    });
    expect(troubleOf(new ServerError(502, FOREIGN, 'Bad Gateway'))).toMatchObject({
      kind: 'failed',
      message: '502 Bad Gateway'
    });
    expect(troubleOf(new ServerError(404, 'unknown_model', 'No such model.')).kind).toBe('told');
    expect(troubleOf(new ServerError(404, FOREIGN, 'Not Found')).kind).toBe('absent');
    expect(
      troubleOf(new ServerError(403, 'forbidden', 'The server does not allow you to do this.')).kind
    ).toBe('refused');
    expect(troubleOf(new ServerError(424, FOREIGN, 'Failed Dependency')).kind).toBe('stopped');
  });
});
