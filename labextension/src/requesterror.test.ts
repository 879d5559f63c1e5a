import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ResponseError, UNKNOWN_CODE, readRetryAfter, ServerError, requestErrorOf } from './requesterror';

describe('Retry-After', () => {
  it('is read as seconds or as a date and is never negative', () => {
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

describe('requestErrorOf', () => {
  it('returns a kind for any exception', () => {
    fc.assert(
      fc.property(fc.anything(), thrown => {
        expect(requestErrorOf(thrown).kind).toBe('unreachable');
      })
    );
    expect(requestErrorOf(new ResponseError('incomplete')).kind).toBe('incomplete');
  });

  it('uses the message of Turbopilot’s errors only', () => {
    expect(requestErrorOf(new ServerError(503, 'model_missing', 'Fetch it.', 1000))).toEqual({
      kind: 'reported',
      message: 'Fetch it.',
      retryAfter: 1000
    });
    expect(requestErrorOf(new ServerError(502, UNKNOWN_CODE, 'Bad Gateway'))).toMatchObject({
      kind: 'failed',
      message: '502 Bad Gateway'
    });
    expect(requestErrorOf(new ServerError(404, 'unknown_model', 'No such model.')).kind).toBe('reported');
    expect(requestErrorOf(new ServerError(404, UNKNOWN_CODE, 'Not Found')).kind).toBe('missing');
    expect(
      requestErrorOf(new ServerError(403, 'forbidden', 'The server does not allow you to do this.')).kind
    ).toBe('denied');
    expect(requestErrorOf(new ServerError(403, 'disabled', 'Off.'))).toMatchObject({
      kind: 'reported',
      message: 'Off.'
    });
    expect(requestErrorOf(new ServerError(424, UNKNOWN_CODE, 'Failed Dependency')).kind).toBe('stopped');
  });
});
