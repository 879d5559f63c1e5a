/** What can go wrong when the server is asked, in a form that can be put into words. Pure. */

/**
 * `told`: in the server's own words · `busy`: too much was asked, of the server or by one person · `unreachable`: no connection · `silent`: no answer in time ·
 * `garbled`: an answer that is not ours · `cut`: an answer without an end · `refused`: not signed in, or not
 * allowed · `absent`: no such route, the server extension is not enabled · `serverless`: no server is there to be
 * asked · `stopped`: the person's server does not run, as their JupyterHub says in its place · `failed`: any other
 * status.
 */
export type Kind =
  | 'told'
  | 'busy'
  | 'unreachable'
  | 'silent'
  | 'garbled'
  | 'cut'
  | 'refused'
  | 'absent'
  | 'serverless'
  | 'stopped'
  | 'failed';

export interface ITrouble {
  kind: Kind;
  /** The server's words, or the status. */
  message: string;
  /** Milliseconds the server asks to be left alone. */
  retryAfter: number;
}

/** The code of an error that did not come from our routes. */
export const FOREIGN = 'unknown';

/** The code of an error: the person has removed the model or stopped its download. */
export const WITHHELD = 'withheld';

/** The server answered with an error; `code` says which. */
export class ServerError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfter = 0
  ) {
    super(message);
  }
}

/** The server's answer was none of ours, or there was none, or no server. */
export class AnswerError extends Error {
  constructor(readonly kind: 'silent' | 'garbled' | 'cut' | 'serverless') {
    super(`The answer was ${kind}.`);
  }
}

/** Read a Retry-After header, seconds or a date, as milliseconds from `now`. */
export function readRetryAfter(header: string | null, now: number): number {
  const value = header?.trim() ?? '';
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** Say what kind of trouble an exception stands for. */
export function troubleOf(reason: unknown): ITrouble {
  if (reason instanceof AnswerError) {
    return { kind: reason.kind, message: '', retryAfter: 0 };
  }
  if (reason instanceof ServerError) {
    const { status, code, message, retryAfter } = reason;
    const kind =
      status === 401 || status === 403
        ? 'refused'
        : status === 429
          ? 'busy'
          : status === 404 && (code === FOREIGN || code === 'not_found')
            ? 'absent'
            : status === 424 && code === FOREIGN
              ? 'stopped'
              : code === FOREIGN
                ? 'failed'
                : 'told';
    return { kind, message: kind === 'failed' ? `${status} ${message}`.trim() : message, retryAfter };
  }
  return { kind: 'unreachable', message: '', retryAfter: 0 };
}
